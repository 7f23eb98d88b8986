#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Opens strangers' pictures where a crash, a runaway or a hunger for memory cannot take the program along: in processes of
their own, with a limit of time and, where the system has one, of memory.

Python's own pool of processes is not used: one that breaks takes the work of its neighbours with it, and its processes
outlive a program that was killed.

Libraries: those of ``photos``.
"""

import contextlib
import logging
import multiprocessing
import os
import queue
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from modules import errors, logs, photos

logger = logging.getLogger(__name__)

#: seconds a picture may take; the slowest honest one, a hundred megapixels, takes a fifth of it on an old laptop
PATIENCE = 30
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
        self._extra: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _place in range(min(MOST_PROCESSES, os.cpu_count() or 1)):
            self._free.put(None)

    def run(self, function: Callable[..., Any], *arguments: object, at_once: bool = False) -> Any:
        """
        Call a function in another process; waits while all of them are busy.

        :param function: a function of a module, whose result can be pickled
        :type function: Callable[..., Any]
        :param arguments: what it is given
        :type arguments: object
        :param at_once: do not stand in line behind strangers: take a process besides, where all are busy
        :type at_once: bool
        :return: what it returns
        :rtype: Any
        :raises modules.errors.DamagedImage: when it broke its process or took too long
        :raises modules.errors.Refusal: what the function itself raises
        :raises MemoryError: when it needed too much
        :raises OSError: what the function itself raises
        """
        line, child = self._take(at_once)
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
            line.put(child)
        if error:
            raise error
        return answer

    def _take(self, at_once: bool) -> tuple[queue.LifoQueue, '_Child | None']:
        """A process, or room for one, and where it belongs."""
        if not at_once:
            return self._free, self._free.get()
        for line in (self._free, self._extra):
            with contextlib.suppress(queue.Empty):
                return line, line.get_nowait()
        return self._extra, None

    def close(self) -> None:
        """End the processes that are free; those at work end when their work does, or with the program."""
        for line in (self._free, self._extra):
            with contextlib.suppress(queue.Empty):
                while True:
                    child = line.get_nowait()
                    if child:
                        child.end()


class SandboxedReader(photos.PhotoReader):
    """
    Reads photos elsewhere, for the engines: a photo was looked at when it came, but all of it is decoded here.

    :param sandbox: where
    :type sandbox: Sandbox
    :param max_pixels: width × height a photo may have
    :type max_pixels: int
    """

    def __init__(self, sandbox: Sandbox, max_pixels: int):
        super().__init__(max_pixels)
        self._sandbox = sandbox

    def read(self, path: Path, pixels: int | None = None) -> photos.Photo:
        """
        :meth:`modules.photos.PhotoReader.read`.

        :param path: the upload
        :type path: Path
        :param pixels: the fewest pixels that suffice; None for all there are
        :type pixels: int | None
        :return: the photo
        :rtype: photos.Photo
        """
        return self._sandbox.run(photos.read, path, self.max_pixels, pixels, at_once = True)

    def exif(self, path: Path) -> dict[int, dict[int, object]]:
        """
        :meth:`modules.photos.PhotoReader.exif`.

        :param path: the upload
        :type path: Path
        :return: directory → tag → value
        :rtype: dict[int, dict[int, object]]
        """
        return self._sandbox.run(photos.exif, path, self.max_pixels, at_once = True)


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
    # what a stranger's picture makes libraries warn of is no news to anybody
    logs.start('error')
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
