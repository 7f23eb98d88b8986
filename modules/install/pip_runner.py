#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
pip as a program of its own, and its progress as numbers.

Libraries: none but the standard one.
"""

import importlib.metadata
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

logger = logging.getLogger(__name__)

#: units of the sizes that pip prints
_UNITS = {'bytes': 1, 'kB': 1e3, 'MB': 1e6, 'GB': 1e9}

#: the first pip with ``--progress-bar=raw``
_RAW_PROGRESS = (24, 1)
_NEWER_PIP = 'pip>=24.1'


@dataclass(frozen = True)
class PipProgress:
    """The file that pip downloads; no file while it does something else."""

    file: str = ''
    bytes_done: int = 0
    bytes_total: int = 0


class PipRunner:
    """
    Runs pip of this Python, one command after the other.

    :param on_progress: called with every change
    :type on_progress: Callable[[PipProgress], None]
    """

    def __init__(self, on_progress: Callable[[PipProgress], None]):
        self._on_progress = on_progress
        self._progress = PipProgress()
        self._process: subprocess.Popen | None = None
        self._closed = False

    def close(self) -> None:
        """End the command that runs, and run no other; pip resumes when it is started again."""
        self._closed = True
        if self._process:
            self._process.terminate()

    def update_pip(self, mirror: str, variables: Mapping[str, str]) -> None:
        """
        Install a pip that reports progress; a new environment has that of its Python, which is often too old.

        :param mirror: the index to take it from; empty for pip's own
        :type mirror: str
        :param variables: pip's environment
        :type variables: Mapping[str, str]
        """
        index = ['--index-url', mirror] if mirror else []
        if _version('pip') < _RAW_PROGRESS and self.run(['install', _NEWER_PIP, *index], variables):
            logger.warning('pip could not be renewed; its progress will not be shown')

    def run(self, arguments: list[str], variables: Mapping[str, str] | None = None) -> int:
        """
        Run one command to its end.

        :param arguments: what follows ``pip``
        :type arguments: list[str]
        :param variables: pip's environment; None for that of this process
        :type variables: Mapping[str, str] | None
        :return: pip's exit code
        :rtype: int
        """
        if self._closed:
            return 1
        command = [sys.executable, '-m', 'pip', '--no-input', *arguments]
        if arguments[0] == 'install' and _version('pip') >= _RAW_PROGRESS:
            command.append('--progress-bar=raw')
        with subprocess.Popen(
                command,
                stdin = subprocess.DEVNULL,
                stdout = subprocess.PIPE,
                stderr = subprocess.STDOUT,
                encoding = 'utf-8',
                errors = 'replace',
                env = variables) as self._process:
            for line in self._process.stdout or ():
                self._read_line(line.strip())
        return self._process.returncode

    def _read_line(self, line: str) -> None:
        if numbers := re.fullmatch(r'Progress (\d+) of (\d+)', line):
            done, total = map(int, numbers.groups())
            self._report(PipProgress(self._progress.file, done, total))
            return
        logger.log(logging.ERROR if line.startswith('ERROR') else logging.INFO, 'pip: %s', line)
        if download := re.match(r'Downloading (\S+) \(([\d.]+) (\w+)\)', line):
            name, size, unit = download.groups()
            total = round(float(size) * _UNITS.get(unit, 0))
            self._report(PipProgress(name.rpartition('/')[2], 0, total))
        elif line.startswith('Installing collected packages'):
            self._report(PipProgress())

    def _report(self, progress: PipProgress) -> None:
        self._progress = progress
        self._on_progress(progress)


def _version(library: str) -> tuple[int, ...]:
    """Return major and minor version; nothing where it is not installed."""
    try:
        version = importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ()
    return tuple(int(part) for part in re.findall(r'\d+', version)[:2])
