#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Brings the libraries of Stable Video Diffusion while the program runs, so that nobody waits for gigabytes before the
first picture: camera motion serves meanwhile.

Libraries: none but the standard one; pip does the work, as a program of its own.
"""

import importlib
import importlib.metadata
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from modules import dependencies, environment
from modules.configuration import ROOT, Configuration
from modules.i18n import text
from modules.weights.download import State

logger = logging.getLogger(__name__)

#: units in which pip tells the size of a file
_UNITS = {'bytes': 1, 'kB': 1e3, 'MB': 1e6, 'GB': 1e9}

#: the first pip that can tell its progress to a program
_RAW_PROGRESS = (24, 1)


class LibraryFetcher:
    """
    Installs a requirements file when told to, on a thread of its own. Making one starts nothing.

    :param configuration: the options
    :type configuration: Configuration
    :param requirements: what to install
    :type requirements: Path
    """

    def __init__(self,
                 configuration: Configuration,
                 requirements: Path = ROOT / 'requirements.txt'):
        self._options = configuration
        self._requirements = requirements
        self._state = State()
        self._pip: subprocess.Popen | None = None
        self._closed = False

    def start(self, then: Callable[[], None] = lambda: None) -> None:
        """
        Begin. To be called once.

        :param then: called when everything is installed
        :type then: Callable[[], None]
        """
        self._state = State('running')
        threading.Thread(
            target = self._run, args = (then, ), name = 'libraries', daemon = True).start()

    def state(self) -> State:
        """
        How far the installation is; its bytes are those of the file that is coming.

        :return: a snapshot
        :rtype: State
        """
        return self._state

    def close(self) -> None:
        """End it; pip goes on where it was when it is started again."""
        self._closed = True
        if self._pip:
            self._pip.terminate()

    def _run(self, then: Callable[[], None]) -> None:
        for command in dependencies.commands(
                Path(sys.executable), self._requirements, self._options.installation):
            status = 0 if self._closed else self._install(command)
            if self._closed:
                return
            if status:
                words = text(
                    'libraries.pip_failed', file = self._requirements.name, status = status)
                self._state = replace(self._state, state = 'failed', error = words)
                return
        self._remember()
        importlib.invalidate_caches()
        self._state = State('done')
        then()

    def _install(self, wanted: list[str]) -> int:
        """Let pip work, and hear how far it is: its exit code."""
        command = [sys.executable, '-m', 'pip', 'install', '--no-input', *wanted]
        if _version('pip') >= _RAW_PROGRESS:
            command.append('--progress-bar=raw')
        with subprocess.Popen(
                command,
                stdin = subprocess.DEVNULL,
                stdout = subprocess.PIPE,
                stderr = subprocess.STDOUT,
                encoding = 'utf-8',
                errors = 'replace') as self._pip:
            for line in self._pip.stdout:
                self._hear(line.strip())
        return self._pip.returncode

    def _hear(self, line: str) -> None:
        """One line of what pip says."""
        if progress := re.fullmatch(r'Progress (\d+) of (\d+)', line):
            done, total = map(int, progress.groups())
            self._state = replace(self._state, bytes_done = done, bytes_total = total)
            return
        logger.log(logging.ERROR if line.startswith('ERROR') else logging.INFO, 'pip: %s', line)
        if coming := re.match(r'Downloading (\S+) \(([\d.]+) (\w+)\)', line):
            name, size, unit = coming.groups()
            total = round(float(size) * _UNITS.get(unit, 0))
            self._state = State('running', bytes_total = total, file = name.rpartition('/')[2])
        elif line.startswith('Installing collected packages'):
            self._state = State('running')

    def _remember(self) -> None:
        """Spare the next start what was done now."""
        home = self._options.store.venv_home
        note = environment.read_note(home)
        if note and Path(sys.prefix).resolve() == home.resolve():
            done = dependencies.fingerprints(self._requirements, self._options.installation)
            installed = {**note.installed, **done}
            environment.write_note(home, environment.Note(note.python, installed))


def _version(library: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r'\d+', importlib.metadata.version(library))[:2])
