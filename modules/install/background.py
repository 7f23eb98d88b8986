#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Installs the libraries of Stable Video Diffusion while the program runs, so that nobody waits for gigabytes before the
first picture: camera motion serves meanwhile.

Libraries: none but the standard one; pip does the work, as a program of its own.
"""

import importlib
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from modules.configuration import ROOT, Configuration
from modules.i18n import Text, text
from modules.install import dependencies, environment, pip_settings, repairs
from modules.install.environment import Failure
from modules.install.pip_runner import PipProgress, PipRunner
from modules.progress import do_nothing
from modules.weights.download import State

logger = logging.getLogger(__name__)


class LibraryFetcher:
    """
    Installs a requirements file on a thread of its own. Making one starts nothing.

    :param configuration: the options
    :type configuration: Configuration
    :param requirements: what to install
    :type requirements: Path
    :param is_coming: whether :meth:`start` will be called
    :type is_coming: bool
    """

    def __init__(self,
                 configuration: Configuration,
                 requirements: Path = ROOT / 'requirements.txt',
                 is_coming: bool = False):
        self._options = configuration
        self._requirements = requirements
        self._state = State('running' if is_coming else 'idle')
        self._pip = PipRunner(self._keep_progress)
        self._closed = False

    def start(self, then: Callable[[], None] = do_nothing) -> None:
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
        Return how far the installation is; its bytes are those of the file that pip downloads.

        :return: a snapshot
        :rtype: State
        """
        return self._state

    def is_coming(self) -> bool:
        """
        Check whether libraries are being installed or soon will be; until then none of them may be imported.

        :return: whether they are
        :rtype: bool
        """
        return self._state.state == 'running'

    def close(self) -> None:
        """End it; pip resumes when it is started again."""
        self._closed = True
        self._pip.close()

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
                self._fail(self._explain_failure(None))
        if is_done:
            importlib.invalidate_caches()
            self._state = State('done')
            then()

    def _install(self) -> bool:
        """Install everything in its order; return whether pip succeeded."""
        python, note = Path(sys.executable), self._read_note()
        installation = self._options.installation
        is_own_environment = sys.prefix != sys.base_prefix
        variables = pip_settings.pip_variables(python) if is_own_environment else None
        if variables:
            self._pip.update_pip(installation.pip_mirror_url, variables)
        indexes = dependencies.choose_indexes(installation, note.torch_index if note else '')
        logger.info('PyTorch comes from %s: %s', indexes.pytorch_index_url or 'the usual index',
                    indexes.reason.in_('en'))
        for command in dependencies.make_commands(python, self._requirements, indexes):
            if status := self._pip.run(command, variables):
                self._fail(self._explain_failure(status))
                return False
        if is_own_environment:
            # another Python may keep its libraries in further places
            repairs.require_libraries(python, self._requirements)
        if note:
            # so that the next start does not install them again
            repairs.remember(self._options.store.venv_home, note, self._requirements, indexes)
        return True

    def _read_note(self) -> environment.Note | None:
        """Return the note of this Python's environment, where the program made it."""
        home = self._options.store.venv_home
        is_own = Path(sys.prefix).resolve() == home.resolve()
        return environment.read_note(home) if is_own else None

    def _keep_progress(self, progress: PipProgress) -> None:
        self._state = State(
            'running', progress.bytes_done, progress.bytes_total, file = progress.file)

    def _explain_failure(self, status: int | None) -> Text:
        return text('libraries.pip_failed', file = self._requirements.name, status = status)

    def _fail(self, words: Text) -> None:
        failed = replace(self._state, state = 'failed', error = words)
        self._state = State() if self._closed else failed
