#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The program beside another one that has started it, a notebook for instance, with options of that one's making. It ends
when it is told to, or with whoever started it.

Libraries: none but the standard one.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path

from modules import configuration
from modules.configuration import ROOT, Configuration

#: seconds to begin serving, a tunnel's opening included, and to end
PATIENCE, GRACE = 90, 15


class ProgramFailed(Exception):
    """
    It did not begin to serve.

    :param said: what it wrote
    :type said: str
    """


class Program:
    """
    Serves from the moment it is made. Its results go with it.

    :param options: all of them
    :type options: Configuration
    :param arguments: of the command line
    :type arguments: str
    :param environment: variables beside those of this process; secrets go here, for others see a command line
    :type environment: Mapping[str, str] | None
    :param main: what to run
    :type main: Path
    :raises ProgramFailed: when it does not begin to serve
    """

    def __init__(self,
                 options: Configuration,
                 *arguments: str,
                 environment: Mapping[str, str] | None = None,
                 main: Path = ROOT / '__main__.py'):
        home = tempfile.TemporaryDirectory()
        self._log = Path(home.name) / 'log.txt'
        ini = Path(home.name) / 'configuration.ini'
        # it may hold a password, and the folder is this user's alone
        ini.write_text(configuration.to_ini(options), encoding = 'utf-8')
        with self._log.open('wb') as output:
            self._process = subprocess.Popen(
                [sys.executable, main, '--config', ini, '--output-temp', *arguments],
                stdin = subprocess.DEVNULL,
                stdout = output,
                stderr = subprocess.STDOUT,
                # interrupting a cell interrupts all that belongs to its session
                start_new_session = True,
                env = {
                    **os.environ, 'PYTHONIOENCODING': 'utf-8',
                    **(environment or {})
                })
        # called once: when told to, when nobody holds this any more, or when the starting program ends
        self.stop = weakref.finalize(self, _end, self._process, home)
        #: where it listens on this machine
        self.port = 0
        try:
            self.port = self._served_at()
        finally:
            if not self.port:
                self.stop()

    def _served_at(self) -> int:
        """The port, once it says that it serves."""
        patience = time.monotonic() + PATIENCE
        while time.monotonic() < patience:
            has_ended = self._process.poll() is not None
            if found := re.search(r'http://\S+:(\d+)/', self.said()):
                return int(found[1])
            if has_ended:
                break
            time.sleep(0.1)
        raise ProgramFailed(self.said().strip())

    def said(self) -> str:
        """
        What it has written so far.

        :return: all lines
        :rtype: str
        """
        return self._log.read_text(encoding = 'utf-8', errors = 'replace')

    @property
    def public_url(self) -> str:
        """The address of its tunnel; empty where it has none."""
        found = re.search(r'https://[^\s，。)]+', self.said())
        return found[0] if found else ''


def _end(process: subprocess.Popen, home: tempfile.TemporaryDirectory) -> None:
    """In order, tunnel and all; by force where that does not help."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    home.cleanup()
