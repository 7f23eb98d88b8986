#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Opens uploaded pictures where a crash, an endless loop or too much memory cannot end the program: in processes of their
own, with limits of time and, where the system has them, of memory and files. Answers of such a process are
JSON and bytes, validated before use.

Python's own pool of processes is not used: one that breaks takes the work of its neighbours with it, its processes
outlive a program that was killed, and their answers are pickles, which can run anything.

Libraries: those of ``photos``.
"""

import contextlib
import logging
import os
import queue
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modules import errors
from modules.i18n import LANGUAGES
from modules.photos import stills
from modules.photos.reader import Reader
from modules.photos.sandbox import calls, messages
from modules.photos.sandbox.child import Broken, Child
from modules.photos.sandbox.fair_line import FairLine
from modules.photos.sizes import Photo

logger = logging.getLogger(__name__)

#: seconds a picture may take, by the clock on the wall, twice what it may of a processor's time
TIMEOUT = 60
#: bytes of memory besides those that grow with the picture, and bytes a pixel may need
BASE_MEMORY, MEMORY_PER_PIXEL = 1 << 30, 24
#: bytes of an answer for each pixel, and besides
CONTENT_PER_PIXEL, MORE_CONTENT = 4, 1 << 20
#: processes at the most, each of which keeps some 40 MB; and those beside pictures that take long
MOST_PROCESSES, SPARE_PROCESSES = 4, 2

Function = Callable[..., calls.Found]


class Sandbox:
    """
    Runs functions in other processes, as many at once as there are processors.

    :param max_pixels: of the largest picture that is allowed
    :type max_pixels: int
    :param timeout: seconds a call may take
    :type timeout: float
    :param modules: names of the modules whose functions may be run; each has a function ``prepare``
    :type modules: Sequence[str]
    """

    def __init__(self,
                 max_pixels: int,
                 timeout: float = TIMEOUT,
                 modules: Sequence[str] = (calls.__name__, )):
        self.memory = BASE_MEMORY + MEMORY_PER_PIXEL * max_pixels
        self.timeout = timeout
        self.max_answer = MORE_CONTENT + CONTENT_PER_PIXEL * max_pixels
        self.modules = modules
        #: who may open a picture next; public for whoever asks how busy it is
        self.line = FairLine(min(MOST_PROCESSES, os.cpu_count() or 1), SPARE_PROCESSES)
        self._free: queue.LifoQueue[Child] = queue.LifoQueue()
        self._extra: queue.LifoQueue[Child] = queue.LifoQueue()

    def run(self,
            function: Function,
            upload: Path,
            *arguments: object,
            client: str = '',
            at_once: bool = False) -> calls.Found:
        """
        Call a function in another process; waits while all of them are busy.

        :param function: a function of one of the modules, which is given the content of the upload and the arguments
        :type function: Function
        :param upload: the picture
        :type upload: Path
        :param arguments: what JSON can hold
        :type arguments: object
        :param client: for whom; who has made much work of late stands behind others. Empty for one who is not counted
        :type client: str
        :param at_once: do not wait in line behind others: take a process besides, where all are busy
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
            child = child or Child(self.memory, self.max_answer, self.modules)
            answer, content = child.call(self.timeout, function, upload, arguments)
            refusal = _refusal(answer)
            is_well = True
        except (Broken, messages.BadMessage) as broken:
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


class SandboxedReader(Reader):
    """
    Reads photos in a sandbox, for the engines: a photo was checked when it came, but all of it is decoded here.

    :param sandbox: runs what decodes
    :type sandbox: Sandbox
    :param max_pixels: width × height a photo may have
    :type max_pixels: int
    """

    def __init__(self, sandbox: Sandbox, max_pixels: int):
        self._sandbox = sandbox
        self.max_pixels = max_pixels

    def check(self, photo: Path) -> None:
        self._run(lambda _found, _content: None, calls.check, photo)

    def read(self, photo: Path, pixels: int | None = None) -> Photo:
        return self._run(calls.to_photo, calls.read, photo, pixels)

    def still(self, photo: Path, ratio: tuple[int, int]) -> stills.Still:
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


def _refusal(answer: dict[str, Any]) -> errors.Refusal | None:
    """What the function has raised, if it has."""
    if 'refusal' not in answer:
        return None
    try:
        refusal = errors.Refusal.from_dict(answer['refusal'])
        # where values are missing, it has no words
        for language in LANGUAGES:
            refusal.text.in_(language)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise Broken(f'a refusal that is none: {error!r}') from error
    return refusal
