#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The requirements files, and pip, which installs them.

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
class ChosenIndexes(InstallationOptions):
    """The indexes, with the one for PyTorch chosen where nobody has set it."""

    #: why that index
    reason: Text = field(default_factory = lambda: text('torch.set'))
    #: whether a build that is installed and comes from elsewhere has to go
    is_certain: bool = True
    #: the index, where it was chosen here
    chosen_index: str = ''


def choose_indexes(options: InstallationOptions, remembered: str = '') -> ChosenIndexes:
    """
    Choose where PyTorch comes from, unless the INI says so.

    :param options: the indexes
    :type options: InstallationOptions
    :param remembered: the index of the last time, used when NVIDIA's driver gives no answer, or half of one
    :type remembered: str
    :return: the indexes
    :rtype: ChosenIndexes
    """
    if options.pytorch_index_url:
        return ChosenIndexes(**vars(options))
    has_amd = Path('/dev/kfd').exists()
    choice = torch_builds.choose(nvidia.ask_driver(), sys.platform, platform.machine(), has_amd)
    if remembered and not choice.is_certain:
        choice = torch_builds.Choice(remembered, text('torch.remembered', index = remembered))
    given = {**vars(options), 'pytorch_index_url': choice.index}
    return ChosenIndexes(
        **given,
        reason = choice.reason,
        is_certain = choice.is_certain,
        chosen_index = choice.index)


def list_files(requirements: Path) -> list[Path]:
    """
    List a requirements file and those it includes.

    :param requirements: the file
    :type requirements: Path
    :return: itself first
    :rtype: list[Path]
    """
    included = re.findall(r'^-r\s+(\S+)', requirements.read_text(encoding = 'utf-8'), re.MULTILINE)
    return [
        requirements,
        *(file for name in included for file in list_files(requirements.parent / name))
    ]


def compute_fingerprint(requirements: Path, options: InstallationOptions) -> str:
    """
    Compute a digest that changes whenever pip would be asked for something else.

    :param requirements: the file
    :type requirements: Path
    :param options: the indexes
    :type options: InstallationOptions
    :return: hexadecimal digits
    :rtype: str
    """
    parts = [file.read_text(encoding = 'utf-8') for file in list_files(requirements)]
    parts += make_index_arguments(requirements, options)
    return hashlib.sha256('\0'.join(parts).encode()).hexdigest()


def compute_fingerprints(requirements: Path, options: InstallationOptions) -> dict[str, str]:
    """
    Compute what is noted once a requirements file is installed.

    :param requirements: the file
    :type requirements: Path
    :param options: the indexes
    :type options: InstallationOptions
    :return: the name of the file, and of each that it includes → fingerprint
    :rtype: dict[str, str]
    """
    return {file.name: compute_fingerprint(file, options) for file in list_files(requirements)}


def make_index_arguments(requirements: Path, options: InstallationOptions) -> list[str]:
    """
    Make pip's options for the indexes; none where its own settings decide.

    :param requirements: the file to install
    :type requirements: Path
    :param options: the indexes
    :type options: InstallationOptions
    :return: arguments of pip
    :rtype: list[str]
    """
    arguments = ['--index-url', options.pip_mirror_url] if options.pip_mirror_url else []
    if 'torch' in read_names(requirements) and options.pytorch_index_url:
        arguments += ['--extra-index-url', options.pytorch_index_url]
    return arguments


def make_commands(python: Path, requirements: Path,
                  options: InstallationOptions) -> list[list[str]]:
    """
    Make the commands of pip, in their order. PyTorch comes first where it has an index of its own: of two indexes pip
    takes the newest version, which may be a build for another GPU, or for none.

    :param python: whose pip
    :type python: Path
    :param requirements: the file to install
    :type requirements: Path
    :param options: the indexes
    :type options: InstallationOptions
    :return: what follows ``pip``
    :rtype: list[list[str]]
    """
    arguments = make_index_arguments(requirements, options)
    whole = ['install', '-r', str(requirements), *arguments]
    if 'torch' not in read_names(requirements):
        return [whole]
    found = inventory.take(python)
    libraries = found.whole if found else {}
    index = options.pytorch_index_url
    if not _must_be_replaced(libraries.get('torch'), options):
        first = [
            'install', '--no-deps', '--index-url', index,
            find_requirement('torch', requirements)
        ]
        return [first, whole] if index else [whole]
    # another build of the same library is there already, as far as pip is concerned
    source = ['--index-url', index] if index else arguments
    first = ['install', '--no-deps', '--force-reinstall', *source]
    old = sorted(name for name in libraries if re.fullmatch(COMPANIONS, name))
    return [[*first, find_requirement('torch', requirements)],
            *([['uninstall', '--yes', *old]] if old else []), whole]


def _must_be_replaced(version: str | None, options: InstallationOptions) -> bool:
    """Check whether the installed PyTorch, if there is one, is the wrong build."""
    if version is None:
        return False
    build = version.partition('+')[2]
    if options.pytorch_index_url:
        return build != options.pytorch_index_url.rstrip('/').rpartition('/')[2]
    return bool(build) and isinstance(options, ChosenIndexes) and options.is_certain


def find_requirement(name: str, requirements: Path) -> str:
    """
    Find one line of a requirements file.

    :param name: the project
    :type name: str
    :param requirements: the file
    :type requirements: Path
    :return: as ``torch>=2``
    :rtype: str
    """
    return next(
        line.split('#')[0].strip() for file in list_files(requirements)
        for line in file.read_text(encoding = 'utf-8').splitlines()
        if re.match(rf'{name}\b(?![-.])', line))


def read_names(requirements: Path) -> list[str]:
    """
    Read the projects of a requirements file.

    :param requirements: the file
    :type requirements: Path
    :return: names as written, those of included files too
    :rtype: list[str]
    """
    return [
        name for file in list_files(requirements)
        for name in re.findall(r'^[A-Za-z0-9][\w.-]*', file.read_text(
            encoding = 'utf-8'), re.MULTILINE)
    ]


def find_required(requirements: Path) -> set[str]:
    """
    Find the libraries that must be there once a requirements file is installed.

    :param requirements: the file
    :type requirements: Path
    :return: names as the inventory has them, but of lines that hold for some Pythons only
    :rtype: set[str]
    """
    lines = [
        line.partition('#')[0] for file in list_files(requirements)
        for line in file.read_text(encoding = 'utf-8').splitlines()
    ]
    found = [re.match(r'[A-Za-z0-9][\w.-]*', line) for line in lines if ';' not in line]
    return {inventory.normalize(name[0]) for name in found if name}


def find_missing(requirements: Path) -> list[str]:
    """
    Find what this Python lacks; versions are left to pip.

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

    return [name for name in read_names(requirements) if is_missing(name)]


def install(python: Path,
            requirements: Path,
            options: InstallationOptions,
            may_ask: bool = False,
            variables: Mapping[str, str] | None = None) -> None:
    """
    Let pip install a requirements file; it prints to the terminal.

    :param python: whose pip
    :type python: Path
    :param requirements: the file
    :type requirements: Path
    :param options: the indexes
    :type options: InstallationOptions
    :param may_ask: whether a person can answer when an index asks for a password
    :type may_ask: bool
    :param variables: pip's environment; None for that of this process
    :type variables: Mapping[str, str] | None
    :raises Failure: with pip's exit code
    """
    quiet = [] if may_ask else ['--no-input']
    for command in make_commands(python, requirements, options):
        status = run([str(python), '-m', 'pip', *quiet, *command], variables)
        if not status:
            continue
        managed = Path(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED').is_file()
        outside = python == Path(sys.executable) and sys.prefix == sys.base_prefix
        key = 'launch.externally_managed' if managed and outside else 'launch.pip_failed'
        raise Failure(text(key, file = requirements.name, status = status), status)


def sees_gpu(root: Path = Path('/')) -> bool:
    """
    Check whether there seems to be a GPU that PyTorch can use.

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
