#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A picture process as the program sees it: started with little of the environment, called through pipes, ended.

Libraries: none but the standard one.
"""

import contextlib
import errno
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from modules.configuration import ROOT
from modules.homes import read_no_follow
from modules.photos.sandbox import messages

#: bytes of an upload that are handed over at once
PART = 1 << 20

#: what a picture process sees of the environment, which may hold tokens: where libraries of the system are
ENVIRONMENT = ('DYLD_LIBRARY_PATH', 'LANG', 'LC_ALL', 'LD_LIBRARY_PATH', 'PATH', 'PYTHONHOME',
               'SYSTEMROOT', 'WINDIR')


class Broken(Exception):
    """
    A process gave no answer.

    :param reason: why
    :type reason: str
    """

    def __init__(self, reason: str):
        super().__init__(reason)


class Child:
    """
    One process, which answers calls one after the other.

    :param memory: bytes it may use
    :type memory: int
    :param max_answer: bytes that the content of an answer may have
    :type max_answer: int
    :param modules: names of the modules whose functions it runs
    :type modules: Sequence[str]
    """

    def __init__(self, memory: int, max_answer: int, modules: Sequence[str]):
        self._max_answer = max_answer
        self._ids = itertools.count(1)
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        # when the program is killed, its ends of the pipes are closed, and the process ends
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'modules.photos.sandbox.process',
             str(memory), *modules],
            stdin = subprocess.PIPE,
            stdout = subprocess.PIPE,
            cwd = ROOT,
            env = {
                **kept, 'PYTHONPATH': os.pathsep.join(map(os.path.abspath, sys.path))
            })
        self._input = cast(BinaryIO, self._process.stdin)
        self._output = cast(BinaryIO, self._process.stdout)

    def is_alive(self) -> bool:
        """
        Find out whether it can be called.

        :return: whether it runs
        :rtype: bool
        """
        return self._process.poll() is None

    def call(self, timeout: float, function: Callable[..., Any], upload: Path | None,
             arguments: tuple) -> tuple[dict[str, Any], bytes]:
        """
        Call a function in the process.

        :param timeout: seconds after which the process is killed
        :type timeout: float
        :param function: a function of one of its modules
        :type function: Callable[..., Any]
        :param upload: the picture, whose content the function is given; None for nothing
        :type upload: Path | None
        :param arguments: what else it is given
        :type arguments: tuple
        :return: the answer's head, with ``found`` or ``refusal``, and its content
        :rtype: tuple[dict[str, Any], bytes]
        :raises Broken: when no answer to this call came
        :raises MemoryError: when the function needed too much
        :raises OSError: when the upload cannot be read
        """
        # an answer to another call is none
        identity = next(self._ids)
        head = {
            'id': identity,
            'function': f'{function.__module__}.{function.__name__}',
            'arguments': arguments
        }
        # works for pipes of Windows too, which cannot be waited for
        timer = threading.Timer(timeout, self._process.kill)
        timer.start()
        try:
            self._send(head, upload)
            answer = messages.read(self._output, self._max_answer)
        finally:
            timer.cancel()
        if answer is None:
            self._process.wait()
            raise Broken(f'exit code {self._process.returncode}')
        if answer[0].get('fault') == MemoryError.__name__:
            raise MemoryError
        if answer[0].get('id') != identity or not {'found', 'refusal'} & answer[0].keys():
            raise Broken(str(answer[0].get('fault', 'another answer')))
        return answer

    def _send(self, head: dict[str, Any], upload: Path | None) -> None:
        with read_no_follow(upload) if upload else Path(os.devnull).open('rb') as file:
            left = os.fstat(file.fileno()).st_size
            try:
                messages.write_head(self._input, head, left)
                while left and (part := file.read(min(left, PART))):
                    self._input.write(part)
                    left -= len(part)
                self._input.flush()
            except OSError as error:
                if error.errno not in (errno.EPIPE, errno.EINVAL):
                    raise
                # it ends, which is not seen at once, and may have said why
                return
        if left:
            raise OSError(errno.EIO, 'an upload that becomes shorter')

    def end(self) -> None:
        """Kill the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._output):
            # what was not taken any more is lost
            with contextlib.suppress(OSError):
                pipe.close()
