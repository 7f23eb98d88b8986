#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Limits of requests, heavy work and guesses of one client. Counted in memory: a restart forgets them, and no address is
stored.

Libraries: limits, by the maintainer of Flask-Limiter, which adds decorators and answers of its own to it; who asks and
how a refusal looks is decided here already.
"""

import collections
import contextlib
import math
import threading
import time
from collections.abc import Iterator

import limits
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from modules import errors

#: requests that read a photo or make a file, or wait to, for seconds and with a thread each; of all, and of one client
MAX_HEAVY_REQUESTS, MAX_HEAVY_REQUESTS_OF_ONE = 32, 4

#: wrong passwords of one client in a minute
MAX_GUESSES = 20


class Limits:
    """
    Counts requests and wrong passwords.

    :param per_minute: requests of one client in a minute; 0 is no limit
    :type per_minute: int
    """

    def __init__(self, per_minute: int):
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._requests = limits.RateLimitItemPerMinute(per_minute) if per_minute else None
        self._at_work: collections.Counter[str] = collections.Counter()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._guesses = limits.RateLimitItemPerMinute(MAX_GUESSES, namespace = 'guesses')

    def count(self, client: str) -> None:
        """
        Count a request.

        :param client: who sends it; empty for one who is not counted
        :type client: str
        :raises errors.TooManyRequests: when it is one too many
        """
        if client and self._requests and not self._limiter.hit(self._requests, client):
            window = self._limiter.get_window_stats(self._requests, client)
            seconds = math.ceil(window.reset_time - time.time())
            raise errors.TooManyRequests(retry_after = min(max(1, seconds), 60))

    @contextlib.contextmanager
    def heavy_work_slot(self, client: str) -> Iterator[None]:
        """
        Hold a place among the requests that take long, which are limited so that pages need not wait for them. One
        client's run one after the other, so that photos made to take long delay only their sender.

        :param client: for whom; empty for one who has no limit of its own
        :type client: str
        :yield: nothing
        :ytype: None
        :raises errors.TooManyRequests: when this client has too many
        :raises errors.QueueFull: when all together have
        """
        with self._lock:
            if client and self._at_work[client] >= MAX_HEAVY_REQUESTS_OF_ONE:
                raise errors.TooManyRequests
            if self._at_work.total() >= MAX_HEAVY_REQUESTS:
                raise errors.QueueFull
            self._at_work[client] += 1
            lock = self._locks.setdefault(client, threading.Lock())
        try:
            with lock if client else contextlib.nullcontext():
                yield
        finally:
            with self._lock:
                self._at_work[client] -= 1
                if not self._at_work[client]:
                    del self._at_work[client], self._locks[client]

    def count_guess(self, client: str) -> None:
        """
        Count a wrong password; also of who is not counted otherwise, because a tunnel may look like this machine.

        :param client: who gave it
        :type client: str
        """
        self._limiter.hit(self._guesses, client or 'here')

    def check_guesses(self, client: str) -> None:
        """
        Refuse a client that has guessed too often, even with the right password.

        :param client: who gives a password
        :type client: str
        :raises errors.WrongPasswords: when too many were wrong
        """
        if not self._limiter.test(self._guesses, client or 'here'):
            raise errors.WrongPasswords
