#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Libraries for a Python that somebody else has set up, such as a notebook's: missing ones are installed, and those that
are there stay as they are, PyTorch above all.

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

#: names all libraries that are not replaced where they are there
EVERYTHING = ROOT / 'requirements.txt'

#: lines at the end of a failing pip's output that have its reason
LAST_LINES = 15


def find_missing(requirements: Path) -> list[str]:
    """
    Find what this Python lacks; versions of what it has are left as they are.

    :param requirements: the file
    :type requirements: Path
    :return: its lines, as ``waitress>=3,<4``
    :rtype: list[str]
    """
    missing = dependencies.find_missing(requirements)
    return [
        line.partition(' #')[0].strip() for file in dependencies.list_files(requirements)
        for line in file.read_text(encoding = 'utf-8').splitlines()
        if re.split(r'[^\w.-]', line)[0] in missing
    ]


def install_missing(wanted: list[str], options: InstallationOptions) -> None:
    """
    Install missing libraries beside those that are there.

    :param wanted: what lacks, as pip understands it
    :type wanted: list[str]
    :param options: the indexes
    :type options: InstallationOptions
    :raises Failure: with what pip said
    """
    torch = [line for line in wanted if re.match(r'torch\b(?![-.])', line)]
    if torch:
        options = dependencies.choose_indexes(options)
        if options.pytorch_index_url:
            # of two indexes pip takes the newest version, which may be a build for other cards
            _install(['--no-deps', '--index-url', options.pytorch_index_url, *torch], wanted)
    _install([*dependencies.make_index_arguments(EVERYTHING, options), *wanted], wanted)


def _install(arguments: list[str], wanted: list[str]) -> None:
    """Let pip install something without replacing what is there."""
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch) / 'kept.txt'
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
    for name in dependencies.read_names(EVERYTHING):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            pins.append(f'{name}=={importlib.metadata.version(name)}')
    return pins
