#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Libraries for a Python that others have furnished, a notebook's for instance: what lacks is added, and nothing that is
there is touched, PyTorch above all.

Libraries: none but the standard one; pip does the work, as a program of its own.
"""

import contextlib
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from modules.configuration import ROOT, InstallationOptions
from modules.i18n import text
from modules.install import dependencies
from modules.install.environment import Failure

#: names all that stays as it is, where it is there
EVERYTHING = ROOT / 'requirements.txt'

#: how many lines of what a failing pip says have its reason
LAST_LINES = 15


def lacking(requirements: Path) -> list[str]:
    """
    What the Python in use lacks; versions of what it has are left as they are.

    :param requirements: the file
    :type requirements: Path
    :return: its lines, as ``waitress>=3,<4``
    :rtype: list[str]
    """
    missing = dependencies.missing(requirements)
    return [
        line.partition(' #')[0].strip() for file in dependencies.closure(requirements)
        for line in file.read_text(encoding = 'utf-8').splitlines()
        if re.split(r'[^\w.-]', line)[0] in missing
    ]


def add(wanted: list[str], options: InstallationOptions) -> None:
    """
    Install libraries beside those that are there.

    :param wanted: what lacks, as pip understands it
    :type wanted: list[str]
    :param options: the indexes
    :type options: InstallationOptions
    :raises Failure: with what pip said
    """
    torch = [line for line in wanted if re.match(r'torch\b(?![-.])', line)]
    if torch:
        options = dependencies.settle(options)
        if options.pytorch_index_url:
            # of two indexes pip takes what is newest, which may be a build for other cards
            _install(['--no-deps', '--index-url', options.pytorch_index_url, *torch], wanted)
    _install([*dependencies.index_arguments(EVERYTHING, options), *wanted], wanted)


def _install(arguments: list[str], wanted: list[str]) -> None:
    """Let pip install something, and nothing in the place of what is there."""
    with tempfile.TemporaryDirectory() as room:
        kept = Path(room) / 'kept.txt'
        kept.write_text(''.join(f'{pin}\n' for pin in _pins()), encoding = 'utf-8')
        command = [
            sys.executable, '-m', 'pip', 'install', '--no-input', '--progress-bar', 'off',
            '--disable-pip-version-check', '--constraint',
            str(kept), *arguments
        ]
        done = subprocess.run(
            command,
            stdin = subprocess.DEVNULL,
            stdout = subprocess.PIPE,
            stderr = subprocess.STDOUT,
            encoding = 'utf-8',
            errors = 'replace',
            check = False)
    if done.returncode:
        said = '\n'.join(done.stdout.splitlines()[-LAST_LINES:])
        words = text('notebook.pip_failed', names = ', '.join(wanted), said = said)
        raise Failure(words, done.returncode)
    importlib.invalidate_caches()


def _pins() -> list[str]:
    pins = []
    for name in dependencies.names(EVERYTHING):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            pins.append(f'{name}=={importlib.metadata.version(name)}')
    return pins
