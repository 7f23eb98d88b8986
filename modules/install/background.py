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

from modules.configuration import ROOT, Configuration
from modules.i18n import Text, text
from modules.install import dependencies, environment, pip_settings, repairs
from modules.install.environment import Failure
from modules.weights.download import State

logger = logging.getLogger(__name__)

#: units in which pip tells the size of a file
_UNITS = {'bytes': 1, 'kB': 1e3, 'MB': 1e6, 'GB': 1e9}

#: the first pip that can tell its progress to a program
_RAW_PROGRESS = (24, 1)
_NEWER_PIP = 'pip>=24.1'


class LibraryFetcher:
    """
    Installs a requirements file when told to, on a thread of its own. Making one starts nothing.

    :param configuration: the options
    :type configuration: Configuration
    :param requirements: what to install
    :type requirements: Path
    :param is_coming: whether it will be told to
    :type is_coming: bool
    """

    def __init__(self,
                 configuration: Configuration,
                 requirements: Path = ROOT / 'requirements.txt',
                 is_coming: bool = False):
        self._options = configuration
        self._requirements = requirements
        self._state = State('running' if is_coming else 'idle')
        self._pip: subprocess.Popen | None = None
        self._variables: dict[str, str] | None = None
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

    def is_coming(self) -> bool:
        """
        Whether libraries are being installed or soon will be, and none of them is to be imported.

        :return: whether they are
        :rtype: bool
        """
        return self._state.state == 'running'

    def close(self) -> None:
        """End it; pip goes on where it was when it is started again."""
        self._closed = True
        if self._pip:
            self._pip.terminate()

    def _run(self, then: Callable[[], None]) -> None:
        is_done = False
        try:
            is_done = self._install()
        except Failure as failure:
            logger.error('%s', failure.words.in_('en'))
            self._fail(failure.words)
        finally:
            # whatever happens, nobody waits for libraries that do not come
            if not is_done and self.is_coming():
                self._fail(self._words(None))
        if is_done:
            importlib.invalidate_caches()
            self._state = State('done')
            then()

    def _install(self) -> bool:
        """Everything, in its order; False where pip fails."""
        python, note = Path(sys.executable), self._note()
        is_own_environment = sys.prefix != sys.base_prefix
        if is_own_environment:
            self._variables = pip_settings.pip_variables(python)
            self._renew_pip()
        indexes = dependencies.settle(self._options.installation, note.torch_index if note else '')
        logger.info('PyTorch comes from %s: %s', indexes.pytorch_index_url or 'the usual index',
                    indexes.reason.in_('en'))
        for call in dependencies.commands(python, self._requirements, indexes):
            if status := self._run_pip(*call):
                self._fail(self._words(status))
                return False
        if is_own_environment:
            # of another Python nobody knows where else its libraries lie
            repairs.require(python, self._requirements)
        if note:
            # spare the next start what was done now
            repairs.remember(self._options.store.venv_home, note, self._requirements, indexes)
        return True

    def _note(self) -> environment.Note | None:
        """Of the environment that this Python lives in, where the program made it."""
        home = self._options.store.venv_home
        is_here = Path(sys.prefix).resolve() == home.resolve()
        return environment.read_note(home) if is_here else None

    def _renew_pip(self) -> None:
        """An environment's first pip is that of its Python, often too old to tell how far it is."""
        mirror = self._options.installation.pip_mirror_url
        newer = [_NEWER_PIP, *(['--index-url', mirror] if mirror else [])]
        if _version('pip') < _RAW_PROGRESS and self._run_pip('install', *newer):
            logger.warning('pip could not be renewed; it will not tell how far it is')

    def _run_pip(self, *arguments: str) -> int:
        """Run pip to its end; its exit code."""
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
                env = self._variables) as self._pip:
            for line in self._pip.stdout:
                self._hear(line.strip())
        return self._pip.returncode

    def _words(self, status: int | None) -> Text:
        return text('libraries.pip_failed', file = self._requirements.name, status = status)

    def _fail(self, words: Text) -> None:
        if self._closed:
            self._state = State()
            return
        self._state = replace(self._state, state = 'failed', error = words)

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


def _version(library: str) -> tuple[int, ...]:
    """Major and minor; nothing where it is not installed."""
    try:
        told = importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ()
    return tuple(int(part) for part in re.findall(r'\d+', told)[:2])
