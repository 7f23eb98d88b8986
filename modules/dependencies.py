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
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from modules.configuration import InstallationOptions
from modules.environment import WINDOWS, Failure, run
from modules.i18n import text

#: where PyTorch keeps its builds, one folder for each kind of GPU
BUILDS = 'https://download.pytorch.org/whl/'

#: for NVIDIA's cards on Windows: what cards must at least be able to compute, and the build for them
CUDA_BUILDS = (((7, 5), 'cu128'), ((0, 0), 'cu126'))

#: the first driver of CUDA 12 on Windows, and the build for those before it
CUDA_12_DRIVER, OLD_BUILD = 528, 'cu118'


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
    if 'torch' in names(requirements) and (index := torch_index(options)):
        arguments += ['--extra-index-url', index]
    return arguments


def torch_index(options: InstallationOptions, windows: bool = WINDOWS) -> str:
    """
    Where PyTorch comes from. On Windows, what pip takes by itself knows no GPU.

    :param options: the indexes
    :type options: InstallationOptions
    :param windows: whether this is Windows
    :type windows: bool
    :return: an index; empty where pip's own is right
    :rtype: str
    """
    if options.pytorch_index_url or not windows:
        return options.pytorch_index_url
    if not _sees_nvidia():
        return ''
    cards = _ask_nvidia('--query-gpu=compute_cap,driver_version', '--format=csv,noheader')
    return BUILDS + cuda_build(cards)


def cuda_build(cards: str) -> str:
    """
    The build of PyTorch for NVIDIA's cards.

    :param cards: a line for each, as ``8.6, 572.16``; old drivers do not know what is asked
    :type cards: str
    :return: as ``cu128``
    :rtype: str
    """
    found = re.findall(r'^(\d+)\.(\d+), *(\d+)\.', cards, re.MULTILINE)
    if min((int(driver) for *_, driver in found), default = 0) < CUDA_12_DRIVER:
        return OLD_BUILD
    weakest = min((int(major), int(minor)) for major, minor, _driver in found)
    return next(build for least, build in CUDA_BUILDS if weakest >= least)


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
    :return: what follows ``pip install``
    :rtype: list[list[str]]
    """
    arguments = index_arguments(requirements, options)
    whole = ['-r', str(requirements), *arguments]
    if '--extra-index-url' not in arguments:
        return [whole]
    index = arguments[-1]
    # another build of the same library is there already, as far as pip is concerned
    again = [] if _torch_build(python) in (
        '', index.rstrip('/').rpartition('/')[2]) else ['--force-reinstall']
    return [['--no-deps', *again, '--index-url', index, requirement('torch', requirements)], whole]


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
            may_ask: bool = False) -> None:
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
    :raises Failure: with pip's exit code
    """
    quiet = [] if may_ask else ['--no-input']
    for command in commands(python, requirements, options):
        status = run([str(python), '-m', 'pip', 'install', *quiet, *command])
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
    return _sees_nvidia()


def _torch_build(python: Path) -> str:
    """The build of PyTorch that is installed, as ``cu128``; empty where none is."""
    script = 'import importlib.metadata as m; print(m.version("torch").partition("+")[2] or "plain")'
    done = subprocess.run([python, '-c', script], capture_output = True, text = True, check = False)
    return done.stdout.strip()


def _sees_nvidia() -> bool:
    return 'GPU 0' in _ask_nvidia('-L')


def _ask_nvidia(*question: str) -> str:
    """What the tool of NVIDIA's driver answers; nothing where it is not there."""
    tool = shutil.which('nvidia-smi')
    try:
        return subprocess.run([tool, *question],
                              capture_output = True,
                              encoding = 'utf-8',
                              errors = 'replace',
                              timeout = 20,
                              check = False).stdout if tool else ''
    except (OSError, subprocess.TimeoutExpired):
        return ''
