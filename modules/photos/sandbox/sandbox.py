#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Opens strangers' pictures where a crash, a runaway or a hunger for memory cannot take the program along: in processes of
their own, with limits of time and, where the system has them, of memory and files. What such a process answers is
not believed: it is JSON and bytes, checked before anybody uses them.

Python's own pool of processes is not used: one that breaks takes the work of its neighbours with it, its processes
outlive a program that was killed, and their answers are pickles, which can run anything.

Libraries: those of ``photos``.
"""

import contextlib
import errno
import itertools
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modules import errors
from modules.configuration import ROOT
from modules.homes import read_no_follow
from modules.i18n import LANGUAGES
from modules.photos import reader, stills
from modules.photos.sandbox import calls, messages
from modules.photos.sandbox.fair_line import FairLine

logger = logging.getLogger(__name__)

#: seconds a picture may take, by the clock on the wall, twice what it may of a processor's time
PATIENCE = 60
#: bytes of memory beside those that grow with the picture, and bytes a pixel may need
BASE_MEMORY, MEMORY_PER_PIXEL = 1 << 30, 24
#: bytes of an answer for each pixel, and beside them
CONTENT_PER_PIXEL, MORE_CONTENT = 4, 1 << 20
#: processes at the most, each of which keeps some 40 MB; and those beside pictures that take long
MOST_PROCESSES, SPARE_PROCESSES = 4, 2

#: bytes of an upload that are handed over at once
PART = 1 << 20

#: what a picture process sees of the environment, which may hold tokens: where libraries of the system are
ENVIRONMENT = ('DYLD_LIBRARY_PATH', 'LANG', 'LC_ALL', 'LD_LIBRARY_PATH', 'PATH', 'PYTHONHOME',
               'SYSTEMROOT', 'WINDIR')

Function = Callable[..., calls.Found]


class Sandbox:
    """
    Runs functions elsewhere, as many at once as there are processors.

    :param max_pixels: of the largest picture that is allowed
    :type max_pixels: int
    :param patience: seconds a call may take
    :type patience: float
    :param rooms: modules whose functions may be run; each has a function ``prepare``
    :type rooms: Sequence[str]
    """

    def __init__(self,
                 max_pixels: int,
                 patience: float = PATIENCE,
                 rooms: Sequence[str] = (calls.__name__, )):
        self.memory = BASE_MEMORY + MEMORY_PER_PIXEL * max_pixels
        self.patience = patience
        self.most = MORE_CONTENT + CONTENT_PER_PIXEL * max_pixels
        self.rooms = rooms
        #: who may open a picture next; public for those who ask how busy it is
        self.line = FairLine(min(MOST_PROCESSES, os.cpu_count() or 1), SPARE_PROCESSES)
        self._free: queue.LifoQueue[_Child] = queue.LifoQueue()
        self._extra: queue.LifoQueue[_Child] = queue.LifoQueue()

    def run(self,
            function: Function,
            upload: Path,
            *arguments: object,
            client: str = '',
            at_once: bool = False) -> calls.Found:
        """
        Call a function in another process; waits while all of them are busy.

        :param function: a function of one of the rooms, which is given the content of the upload and the arguments
        :type function: Function
        :param upload: the picture
        :type upload: Path
        :param arguments: what JSON can hold
        :type arguments: object
        :param client: for whom; who has made much work of late stands behind others. Empty for one who is not counted
        :type client: str
        :param at_once: do not stand in line behind strangers: take a process besides, where all are busy
        :type at_once: bool
        :return: what it returns, as JSON brings it
        :rtype: calls.Found
        :raises modules.errors.DamagedImage: when it broke its process or took too long
        :raises modules.errors.Refusal: what the function itself raises
        :raises MemoryError: when it needed too much
        :raises OSError: when the upload cannot be read
        """
        if not at_once:
            with self.line.place(client):
                return self._run(self._free, function, upload, arguments)
        with self.line.place_at_once() as has_place:
            return self._run(self._free if has_place else self._extra, function, upload, arguments)

    def _run(self, line: queue.LifoQueue, function: Function, upload: Path,
             arguments: tuple) -> calls.Found:
        child, is_well = None, False
        with contextlib.suppress(queue.Empty):
            child = line.get_nowait()
        try:
            if child and not child.is_alive():
                child.end()
                child = None
            child = child or _Child(self.memory, self.most, self.rooms)
            answer, content = child.call(self.patience, function, upload, arguments)
            refusal = _refusal(answer)
            is_well = True
        except (_Broken, messages.BadMessage) as broken:
            logger.warning('A picture broke its process: %s', broken)
            raise errors.DamagedImage('file') from broken
        finally:
            # after any fault, an answer may still be on its way, and must not reach the next caller
            if child and not is_well:
                child.end()
            elif child:
                line.put(child)
        if refusal:
            raise refusal
        return answer['found'], content

    def close(self) -> None:
        """End the processes that are free; those at work end when their work does, or with the program."""
        for line in (self._free, self._extra):
            with contextlib.suppress(queue.Empty):
                while True:
                    line.get_nowait().end()


class SandboxedReader(reader.PhotoReader):
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

    def read(self, photo: Path, pixels: int | None = None) -> reader.Photo:
        """
        :meth:`modules.photos.reader.PhotoReader.read`.

        :param photo: the upload
        :type photo: Path
        :param pixels: the fewest pixels that suffice; None for all there are
        :type pixels: int | None
        :return: the photo
        :rtype: reader.Photo
        """
        return self._run(calls.to_photo, calls.read, photo, pixels)

    def exif(self, photo: Path) -> dict[int, dict[int, object]]:
        """
        :meth:`modules.photos.reader.PhotoReader.exif`.

        :param photo: the upload
        :type photo: Path
        :return: directory → tag → value
        :rtype: dict[int, dict[int, object]]
        """
        return self._run(lambda found, _content: calls.to_exif(found['exif']), calls.exif, photo)

    def still(self, photo: Path, ratio: tuple[int, int]) -> stills.Still:
        """
        :meth:`modules.photos.reader.PhotoReader.still`.

        :param photo: the upload
        :type photo: Path
        :param ratio: width and height of the aspect ratio it is cropped to
        :type ratio: tuple[int, int]
        :return: the photo in full
        :rtype: stills.Still
        """
        return self._run(calls.to_still, calls.still, photo, ratio)

    def _run(self, understand: Callable[[dict[str, Any], bytes], Any], function: Function,
             photo: Path, *arguments: object) -> Any:
        try:
            found, content = self._sandbox.run(
                function, photo, self.max_pixels, *arguments, at_once = True)
        except FileNotFoundError as error:
            raise errors.PhotoGone from error
        try:
            return understand(found, content)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            logger.warning('A picture process answers what it cannot have found: %r', error)
            raise errors.DamagedImage('file') from error


class _Broken(Exception):
    """
    A process gave no answer.

    :param reason: why
    :type reason: str
    """

    def __init__(self, reason: str):
        super().__init__(reason)


def _refusal(answer: dict[str, Any]) -> errors.Refusal | None:
    """What the function has raised, if it has."""
    if 'refusal' not in answer:
        return None
    try:
        refusal = errors.Refusal.from_dict(answer['refusal'])
        # where values are missing, its words cannot be told
        for language in LANGUAGES:
            refusal.text.in_(language)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _Broken(f'a refusal that is none: {error!r}') from error
    return refusal


class _Child:
    """
    One process.

    :param memory: bytes it may use
    :type memory: int
    :param most: bytes an answer may have
    :type most: int
    :param rooms: modules whose functions it runs
    :type rooms: Sequence[str]
    """

    def __init__(self, memory: int, most: int, rooms: Sequence[str]):
        self._most = most
        self._ids = itertools.count(1)
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        # when the program is killed, its ends of the pipes are closed, and the process ends
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'modules.photos.sandbox.process',
             str(memory), *rooms],
            stdin = subprocess.PIPE,
            stdout = subprocess.PIPE,
            cwd = ROOT,
            env = {
                **kept, 'PYTHONPATH': os.pathsep.join(map(os.path.abspath, sys.path))
            })

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def call(self, patience: float, function: Function, upload: Path,
             arguments: tuple) -> tuple[dict[str, Any], bytes]:
        # an answer to another call is none
        identity = next(self._ids)
        head = {
            'id': identity,
            'function': f'{function.__module__}.{function.__name__}',
            'arguments': arguments
        }
        # works for pipes of Windows too, which cannot be waited for
        timer = threading.Timer(patience, self._process.kill)
        timer.start()
        try:
            self._ask(head, upload)
            answer = messages.read(self._process.stdout, self._most)
        finally:
            timer.cancel()
        if answer is None:
            self._process.wait()
            raise _Broken(f'exit code {self._process.returncode}')
        if answer[0].get('fault') == MemoryError.__name__:
            raise MemoryError
        if answer[0].get('id') != identity or not {'found', 'refusal'} & answer[0].keys():
            raise _Broken(str(answer[0].get('fault', 'another answer')))
        return answer

    def _ask(self, head: dict[str, Any], upload: Path) -> None:
        with read_no_follow(upload) as file:
            left = os.fstat(file.fileno()).st_size
            try:
                messages.write_head(self._process.stdin, head, left)
                while left and (part := file.read(min(left, PART))):
                    self._process.stdin.write(part)
                    left -= len(part)
                self._process.stdin.flush()
            except OSError as error:
                # it has ended, and may have said why
                if error.errno not in (errno.EPIPE, errno.EINVAL):
                    raise
        if left and self.is_alive():
            raise OSError(errno.EIO, 'an upload that becomes shorter')

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            # what was not taken any more is lost
            with contextlib.suppress(OSError):
                pipe.close()
