#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A line in front of few places, in which nobody is held up by those who need much: whoever has used least of late goes
first, and beside what takes long, places are kept for others.

Libraries: none but the standard one.
"""

import collections
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator

#: seconds after which what somebody has used counts for half
HALF_LIFE = 60.0
#: seconds after which something takes long, and another may begin beside it
LONG = 2.0
#: seconds between two checks of whether something takes long by now
CHECK = 0.2


class FairLine:
    """
    Places and who waits for them.

    :param places: how many there are
    :type places: int
    :param spare: how many more there are beside what takes long
    :type spare: int
    :param clock: in seconds
    :type clock: Callable[[], float]
    """

    def __init__(self, places: int, spare: int, clock: Callable[[], float] = time.monotonic):
        self.places = places
        self.spare = spare
        self._clock = clock
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        #: number → when it began
        self._begun: dict[int, float] = {}
        #: number → client; in the order in which they came
        self._waiting: dict[int, str] = {}
        self._at_work: collections.Counter[str] = collections.Counter()
        #: client → seconds, and when that was so
        self._used: dict[str, tuple[float, float]] = {}

    @contextlib.contextmanager
    def place(self, client: str) -> Iterator[None]:
        """
        Wait for a place, and have it for a while.

        :param client: who waits; empty for one who is not counted
        :type client: str
        :yield: nothing
        :ytype: None
        """
        with self._changed:
            number = next(self._numbers)
            self._waiting[number] = client
            try:
                while not (self._has_place() and self._first() == number):
                    self._changed.wait(CHECK)
            finally:
                del self._waiting[number]
                self._changed.notify_all()
            self._begin(number, client)
        try:
            yield
        finally:
            self._end(number, client)

    @contextlib.contextmanager
    def place_at_once(self) -> Iterator[bool]:
        """
        Have a place if one is free.

        :yield: whether there is
        :ytype: bool
        """
        with self._changed:
            number, has_one = next(self._numbers), self._has_place()
            if has_one:
                self._begin(number, '')
        try:
            yield has_one
        finally:
            if has_one:
                self._end(number, '')

    def _has_place(self) -> bool:
        now = self._clock()
        short = sum(now - begun < LONG for begun in self._begun.values())
        return short < self.places and len(self._begun) < self.places + self.spare

    def _first(self) -> int:
        """Of those who wait."""
        return min(
            self._waiting,
            key = lambda number:
            (self._at_work[self._waiting[number]], self._recent(self._waiting[number]), number))

    def _recent(self, client: str) -> float:
        seconds, then = self._used.get(client, (0.0, 0.0))
        return seconds * 0.5**((self._clock() - then) / HALF_LIFE)

    def _begin(self, number: int, client: str) -> None:
        self._begun[number] = self._clock()
        self._at_work[client] += bool(client)

    def _end(self, number: int, client: str) -> None:
        with self._changed:
            now = self._clock()
            seconds = now - self._begun.pop(number)
            if client:
                self._used[client] = self._recent(client) + seconds, now
                self._at_work[client] -= 1
            # who has used next to nothing is as good as one who has not come yet
            self._used = {one: used for one, used in self._used.items() if self._recent(one) > 0.01}
            self._at_work += collections.Counter()
            self._changed.notify_all()
