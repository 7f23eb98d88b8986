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
from modules.environment import Failure, run
from modules.i18n import text


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
    if options.pytorch_index_url and 'torch' in names(requirements):
        arguments += ['--extra-index-url', options.pytorch_index_url]
    return arguments


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
    status = run([
        str(python), '-m', 'pip', 'install', *quiet, '-r',
        str(requirements), *index_arguments(requirements, options)
    ])
    if status:
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
    tool = shutil.which('nvidia-smi')
    try:
        return bool(tool) and b'GPU 0' in subprocess.run(
            [tool, '-L'], capture_output = True, timeout = 20, check = False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
