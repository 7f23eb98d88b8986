#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What has to be installed, and pip, which does it.

Libraries: none but the standard one, because nothing is installed yet.
"""

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modules.configuration import InstallationOptions
from modules.i18n import Text, text
from modules.install import inventory, nvidia, torch_builds
from modules.install.environment import Failure, run

#: companions of a build of PyTorch: those of another one have files of the same names
COMPANIONS = r'nvidia-.*|cuda-.*|(pytorch-)?triton.*'

#: the requirements file of whoever works with a broker
FLEET = 'requirements-fleet.txt'


@dataclass(frozen = True)
class SettledOptions(InstallationOptions):
    """The indexes, with the one for PyTorch chosen where nobody has set it."""

    #: why that one
    reason: Text = field(default_factory = lambda: text('torch.set'))
    #: whether a build that is installed and comes from elsewhere has to go
    is_certain: bool = True
    #: the index, where it was chosen here
    chosen_index: str = ''


def settle(options: InstallationOptions, remembered: str = '') -> SettledOptions:
    """
    Choose where PyTorch comes from; what somebody has set is left as it is.

    :param options: the indexes
    :type options: InstallationOptions
    :param remembered: what was chosen the last time, for when NVIDIA's driver gives no answer, or half of one
    :type remembered: str
    :return: the indexes
    :rtype: SettledOptions
    """
    if options.pytorch_index_url:
        return SettledOptions(**vars(options))
    has_amd = Path('/dev/kfd').exists()
    choice = torch_builds.choose(nvidia.ask_driver(), sys.platform, platform.machine(), has_amd)
    if remembered and not choice.is_certain:
        choice = torch_builds.Choice(remembered, text('torch.remembered', index = remembered))
    given = {**vars(options), 'pytorch_index_url': choice.index}
    return SettledOptions(
        **given,
        reason = choice.reason,
        is_certain = choice.is_certain,
        chosen_index = choice.index)


def closure(requirements: Path) -> list[Path]:
    """
    A requirements file and those it includes.

    :param requirements: the file
    :type requirements: Path
    :return: itself first
    :rtype: list[Path]
    """
    included = re.findall(r'^-r\s+(\S+)', requirements.read_text(encoding = 'utf-8'), re.MULTILINE)
    return [
        requirements, *(file for name in included for file in closure(requirements.parent / name))
    ]


def fingerprint(requirements: Path, options: InstallationOptions) -> str:
    """
    Changes whenever pip would be asked for something else.

    :param requirements: the file
    :type requirements: Path
    :param options: the indexes
    :type options: InstallationOptions
    :return: hexadecimal digits
    :rtype: str
    """
    parts = [file.read_text(encoding = 'utf-8') for file in closure(requirements)]
    parts += index_arguments(requirements, options)
    return hashlib.sha256('\0'.join(parts).encode()).hexdigest()


def fingerprints(requirements: Path, options: InstallationOptions) -> dict[str, str]:
    """
    What there is to remember once a requirements file is installed.

    :param requirements: the file
    :type requirements: Path
    :param options: the indexes
    :type options: InstallationOptions
    :return: the name of the file, and of each that it includes → fingerprint
    :rtype: dict[str, str]
    """
    return {file.name: fingerprint(file, options) for file in closure(requirements)}


def index_arguments(requirements: Path, options: InstallationOptions) -> list[str]:
    """
    Where pip looks; nothing is said where its own settings are to decide.

    :param requirements: the file to install
    :type requirements: Path
    :param options: the indexes
    :type options: InstallationOptions
    :return: arguments of pip
    :rtype: list[str]
    """
    arguments = ['--index-url', options.pip_mirror_url] if options.pip_mirror_url else []
    if 'torch' in names(requirements) and options.pytorch_index_url:
        arguments += ['--extra-index-url', options.pytorch_index_url]
    return arguments


def commands(python: Path, requirements: Path, options: InstallationOptions) -> list[list[str]]:
    """
    What pip is told, in this order. PyTorch comes first where it has an index of its own: of two indexes pip takes
    what is newest, and that may well be a build for another GPU, or for none.

    :param python: whose pip
    :type python: Path
    :param requirements: the file to install
    :type requirements: Path
    :param options: the indexes
    :type options: InstallationOptions
    :return: what follows ``pip``
    :rtype: list[list[str]]
    """
    arguments = index_arguments(requirements, options)
    whole = ['install', '-r', str(requirements), *arguments]
    if 'torch' not in names(requirements):
        return [whole]
    found = inventory.take(python)
    libraries = found.whole if found else {}
    index = options.pytorch_index_url
    if not _must_be_replaced(libraries.get('torch'), options):
        first = ['install', '--no-deps', '--index-url', index, requirement('torch', requirements)]
        return [first, whole] if index else [whole]
    # another build of the same library is there already, as far as pip is concerned
    source = ['--index-url', index] if index else arguments
    first = ['install', '--no-deps', '--force-reinstall', *source]
    old = sorted(name for name in libraries if re.fullmatch(COMPANIONS, name))
    return [[*first, requirement('torch', requirements)],
            *([['uninstall', '--yes', *old]] if old else []), whole]


def _must_be_replaced(version: str | None, options: InstallationOptions) -> bool:
    """Whether the PyTorch that is installed, if one is, is another build than it should be."""
    if version is None:
        return False
    build = version.partition('+')[2]
    if options.pytorch_index_url:
        return build != options.pytorch_index_url.rstrip('/').rpartition('/')[2]
    return bool(build) and isinstance(options, SettledOptions) and options.is_certain


def requirement(name: str, requirements: Path) -> str:
    """
    What a requirements file asks for.

    :param name: the project
    :type name: str
    :param requirements: the file
    :type requirements: Path
    :return: as ``torch>=2``
    :rtype: str
    """
    return next(
        line.split('#')[0].strip() for file in closure(requirements)
        for line in file.read_text(encoding = 'utf-8').splitlines()
        if re.match(rf'{name}\b(?![-.])', line))


def names(requirements: Path) -> list[str]:
    """
    The projects a requirements file asks for.

    :param requirements: the file
    :type requirements: Path
    :return: names as written, those of included files too
    :rtype: list[str]
    """
    return [
        name for file in closure(requirements)
        for name in re.findall(r'^[A-Za-z0-9][\w.-]*', file.read_text(
            encoding = 'utf-8'), re.MULTILINE)
    ]


def demanded(requirements: Path) -> set[str]:
    """
    The libraries that must be there once a requirements file is installed.

    :param requirements: the file
    :type requirements: Path
    :return: names as the inventory has them, but of lines that hold for some Pythons only
    :rtype: set[str]
    """
    lines = [
        line.partition('#')[0] for file in closure(requirements)
        for line in file.read_text(encoding = 'utf-8').splitlines()
    ]
    found = [re.match(r'[A-Za-z0-9][\w.-]*', line) for line in lines if ';' not in line]
    return {inventory.normalize(name[0]) for name in found if name}


def missing(requirements: Path) -> list[str]:
    """
    What the Python in use lacks; versions are left to pip.

    :param requirements: the file
    :type requirements: Path
    :return: names of projects
    :rtype: list[str]
    """

    def is_missing(name: str) -> bool:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version(name)
            return False
        return True

    return [name for name in names(requirements) if is_missing(name)]


def install(python: Path,
            requirements: Path,
            options: InstallationOptions,
            may_ask: bool = False,
            variables: Mapping[str, str] | None = None) -> None:
    """
    Let pip install a requirements file, its words going straight to the terminal.

    :param python: whose pip
    :type python: Path
    :param requirements: the file
    :type requirements: Path
    :param options: the indexes
    :type options: InstallationOptions
    :param may_ask: whether somebody is there to answer when an index wants a password
    :type may_ask: bool
    :param variables: pip's environment; None for that of this process
    :type variables: Mapping[str, str] | None
    :raises Failure: with pip's exit code
    """
    quiet = [] if may_ask else ['--no-input']
    for command in commands(python, requirements, options):
        status = run([str(python), '-m', 'pip', *quiet, *command], variables)
        if not status:
            continue
        managed = Path(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED').is_file()
        outside = python == Path(sys.executable) and sys.prefix == sys.base_prefix
        key = 'launch.externally_managed' if managed and outside else 'launch.pip_failed'
        raise Failure(text(key, file = requirements.name, status = status), status)


def sees_gpu(root: Path = Path('/')) -> bool:
    """
    Whether a GPU that PyTorch can use seems to be there.

    :param root: where the system's folders begin
    :type root: Path
    :return: True for NVIDIA, for AMD with its compute driver, and for Apple's own chips
    :rtype: bool
    """
    if sys.platform == 'darwin':
        return os.uname().machine == 'arm64'
    if any((root / 'proc/driver/nvidia/gpus').glob('*')) or (root / 'dev/kfd').exists():
        return True
    return nvidia.ask_driver(root = root) is not None
