#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Opens strangers' pictures where a crash, a runaway or a hunger for memory cannot take the program along: in processes of
their own, with a limit of time and, where the system has one, of memory.

Python's own pool of processes is not used: one that breaks takes the work of its neighbours with it, and its processes
outlive a program that was killed.

Libraries: those of ``photos``, in the processes.
"""

import logging
import multiprocessing
import os
import queue
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from modules import errors

logger = logging.getLogger(__name__)

#: seconds a picture may take; the slowest honest one, a hundred megapixels, takes a tenth of it on an old laptop
PATIENCE = 60
#: bytes of memory beside those that grow with the picture, and bytes a pixel may need
BASE_MEMORY, MEMORY_PER_PIXEL = 1 << 30, 24
#: processes at the most; each keeps some 40 MB
MOST_PROCESSES = 4


class Sandbox:
    """
    Runs functions elsewhere, as many at once as there are processors.

    :param max_pixels: of the largest picture that is allowed
    :type max_pixels: int
    :param patience: seconds a call may take
    :type patience: float
    """

    def __init__(self, max_pixels: int, patience: float = PATIENCE):
        self.memory = BASE_MEMORY + MEMORY_PER_PIXEL * max_pixels
        self.patience = patience
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _place in range(min(MOST_PROCESSES, os.cpu_count() or 1)):
            self._free.put(None)

    def run(self, function: Callable[..., Any], *arguments: object) -> Any:
        """
        Call a function in another process; waits while all of them are busy.

        :param function: a function of a module, whose result can be pickled
        :type function: Callable[..., Any]
        :param arguments: what it is given
        :type arguments: object
        :return: what it returns
        :rtype: Any
        :raises modules.errors.DamagedImage: when it broke its process or took too long
        :raises modules.errors.Refusal: what the function itself raises
        :raises MemoryError: when it needed too much
        :raises OSError: what the function itself raises
        """
        child = self._free.get()
        try:
            if not (child and child.is_alive()):
                child = _Child(self.memory)
            answer, error = child.call(self.patience, function, arguments)
        except _Broken as broken:
            logger.warning('A picture broke its process: %s', broken)
            child.end()
            child = None
            raise errors.DamagedImage('file') from broken
        finally:
            self._free.put(child)
        if error:
            raise error
        return answer

    def close(self) -> None:
        """End the processes that are free; those at work end when their work does, or with the program."""
        while True:
            try:
                child = self._free.get_nowait()
            except queue.Empty:
                return
            if child:
                child.end()


class _Broken(Exception):
    """
    A process gave no answer.

    :param reason: why
    :type reason: str
    """

    def __init__(self, reason: str):
        super().__init__(reason)


class _Child:
    """
    One process.

    :param memory: bytes it may use
    :type memory: int
    """

    def __init__(self, memory: int):
        context = multiprocessing.get_context('spawn')
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target = _serve, args = (theirs, memory), name = 'pictures', daemon = True)
        self._process.start()
        # when this end closes, even because the program was killed, the process hears of it and ends
        theirs.close()

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def call(self, patience: float, function: Callable[..., Any],
             arguments: tuple) -> tuple[Any, Exception | None]:
        try:
            self._connection.send((function, arguments))
            if not self._connection.poll(patience):
                raise _Broken(f'no answer within {patience} seconds')
            return self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(1)
            raise _Broken(f'exit code {self._process.exitcode}') from error

    def end(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, memory: int) -> None:
    """The life of a process: one call after the other, until the other end is gone."""
    # Ctrl-C is for the program, which ends this process in its own time
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory(memory)
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = (function(*arguments), None)
        except (errors.Refusal, MemoryError, OSError) as error:
            # a traceback cannot travel, and what it holds must not stay
            answer = (None, error.with_traceback(None))
        connection.send(answer)


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:
        # Windows has no such limit
        return
    _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        size = min(size, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))
    except (ValueError, OSError):
        # macOS refuses what is below its own use of addresses
        logger.debug('The memory of pictures cannot be limited here')
