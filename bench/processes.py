#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a program needs, with all the processes it has started: memory, threads, open files, as Linux tells it.

Libraries: none but the standard one.
"""

import contextlib
import re
import threading
from dataclasses import dataclass
from pathlib import Path

PROC = Path('/proc')


@dataclass(frozen = True)
class Needs:
    """Of a program at one moment. Pages that processes share are counted in each of them."""

    #: millions of bytes in memory, of the program's own process
    memory: float
    #: of it and all below it
    all_memory: float
    #: of it and all below it
    threads: int
    #: files, sockets and pipes, of the program's own process
    files: int
    processes: int


def tree(process: int) -> list[int]:
    """
    A process and all below it.

    :param process: its number
    :type process: int
    :return: the numbers of those that live
    :rtype: list[int]
    """
    found, unseen = [], [process]
    while unseen:
        found.append(unseen.pop())
        # any of its threads may have started one
        for children in PROC.glob(f'{found[-1]}/task/*/children'):
            with contextlib.suppress(OSError):
                unseen += [int(child) for child in children.read_text().split()]
    return found


def needs(process: int) -> Needs:
    """
    What a program needs now.

    :param process: the number of its first process
    :type process: int
    :return: its memory, threads and files
    :rtype: Needs
    """
    members = [status for each in tree(process) if (status := _status(each))]
    own = _status(process)
    return Needs(
        memory = own.get('VmRSS', 0) / 1000,
        all_memory = sum(each.get('VmRSS', 0) for each in members) / 1000,
        threads = sum(each.get('Threads', 0) for each in members),
        files = _open_files(process),
        processes = len(members))


class Watch(threading.Thread):
    """
    Looks at a program several times a second, and keeps the most of everything.

    :param process: the number of its first process
    :type process: int
    """

    def __init__(self, process: int):
        super().__init__(daemon = True)
        self.process = process
        self.most = needs(process)
        self._end = threading.Event()

    def run(self) -> None:
        """Look until :meth:`end`."""
        while not self._end.wait(0.2):
            now = needs(self.process)
            self.most = Needs(*map(max, vars(self.most).values(), vars(now).values()))

    def end(self) -> Needs:
        """
        Look no more.

        :return: the most of everything
        :rtype: Needs
        """
        self._end.set()
        self.join()
        return self.most


def _open_files(process: int) -> int:
    try:
        return len(list((PROC / str(process) / 'fd').iterdir()))
    except OSError:
        return 0


def _status(process: int) -> dict[str, int]:
    try:
        words = (PROC / str(process) / 'status').read_text()
    except OSError:
        return {}
    return {
        name: int(value)
        for name, value in re.findall(r'^(Threads|VmRSS):\s+(\d+)', words, re.M)
    }
