#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The connection to Redis: how long anybody waits for an answer, who does not wait at all while Redis hangs, what its
errors mean here, and whether it has memory left.

Libraries: redis.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from typing import Any

import redis
from dramatiq.errors import ConnectionClosed
from redis.backoff import NoBackoff
from redis.retry import Retry

from modules import errors

#: all that the broker being away can raise
AWAY = (redis.exceptions.RedisError, ConnectionClosed)

#: seconds that a worker waits for an answer, and somebody at a web page
PATIENT, HURRIED = 20.0, 2.0

#: seconds for which a web process remembers that nothing answered; longer than it takes to try again
REMEMBERED = 5.0

#: bytes that are written at once; each such part may take the whole patience
CHUNK_BYTES = 1024 * 1024

#: what Redis says when it takes nothing new; scripts hand these words on
REFUSING = ('OOM ', 'READONLY ', 'MISCONF ', 'NOREPLICAS ')

#: part of Redis's memory that new photos may fill; the rest is for what workers write
MOST_FILLED = 0.8

#: the policy by which Redis throws nothing away
NO_EVICTION = 'noeviction'


def connect(url: str, seconds: float = PATIENT) -> redis.Redis:
    """
    Make a client. It tries nothing twice by itself, because a message sent twice would be a job done twice.

    :param url: ``redis://``, ``rediss://`` or ``unix://``
    :type url: str
    :param seconds: how long it waits for an answer
    :type seconds: float
    :return: the client; not connected yet
    :rtype: redis.Redis
    """
    return redis.Redis.from_url(
        url,
        socket_timeout = seconds,
        socket_connect_timeout = min(seconds, 3.0),
        retry = Retry(NoBackoff(), 0))


class Connection:
    """
    A client of Redis and what is known of the way to it. May be used by several threads.

    :param url: where Redis is
    :type url: str
    :param is_hurried: people wait: short patience, and who asks soon after a silence does not wait at all, provided
        that somebody calls :meth:`probe` again and again
    :type is_hurried: bool
    """

    def __init__(self, url: str, *, is_hurried: bool = False):
        #: redis's annotations have text in all places where this client is answered bytes
        self.client: Any = connect(url, HURRIED if is_hurried else PATIENT)
        self._remembered = REMEMBERED if is_hurried else 0.0
        self._away_until = 0.0

    @contextlib.contextmanager
    def reach(self) -> Iterator[Any]:
        """
        Talk to Redis.

        :yield: the client
        :ytype: Any
        :raises modules.errors.BrokerAway: when it does not answer, or did not a moment ago
        """
        if self.is_away:
            raise errors.BrokerAway
        with self._translate_errors():
            yield self.client

    @property
    def is_away(self) -> bool:
        """Whether Redis did not answer a moment ago."""
        return time.monotonic() < self._away_until

    def probe(self) -> float:
        """
        Try whether Redis answers, whatever was a moment ago.

        :return: Redis's clock, the one that everybody shares: seconds since 1970
        :rtype: float
        """
        with self._translate_errors():
            seconds, microseconds = self.client.time()
        self._away_until = 0.0
        return seconds + microseconds / 1e6

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except redis.exceptions.ResponseError as error:
            # it answers, so nobody needs to be spared a wait
            raise meaning(error) from error
        except AWAY as error:
            self._away_until = time.monotonic() + self._remembered
            raise errors.BrokerAway from error

    def eviction_policy(self) -> str | None:
        """
        Find by which policy Redis throws jobs away when it is full.

        :return: its ``maxmemory-policy``; None where it keeps all, or does not say
        :rtype: str | None
        """
        memory = self._memory()
        policy = memory.get('maxmemory_policy', NO_EVICTION)
        return policy if memory.get('maxmemory') and policy != NO_EVICTION else None

    def check_memory(self, more: int = 0) -> None:
        """
        Make sure that workers still have memory when a photo is there too: in a full Redis they could take none away.

        :param more: bytes of the photo
        :type more: int
        :raises errors.BrokerRefuses: when they would not
        """
        memory = self._memory()
        most = memory.get('maxmemory') or math.inf
        if memory.get('used_memory', 0) + more > MOST_FILLED * most:
            raise errors.BrokerRefuses

    def _memory(self) -> dict[str, Any]:
        """Ask for figures of memory; empty where Redis gives none: hosted ones forbid ``CONFIG``."""
        try:
            with self.reach() as client:
                return client.info('memory')
        except errors.BrokerAway:
            return {}


def meaning(error: redis.exceptions.ResponseError) -> errors.Refusal:
    """
    Translate an error of Redis.

    :param error: what Redis answered
    :type error: redis.exceptions.ResponseError
    :return: a refusal
    :rtype: errors.Refusal
    """
    words = f'{error} '
    is_full = isinstance(error, redis.exceptions.OutOfMemoryError)
    if is_full or isinstance(error, redis.exceptions.ReadOnlyError):
        return errors.BrokerRefuses()
    if any(word in words for word in REFUSING):
        return errors.BrokerRefuses()
    if 'WRONGTYPE ' in words:
        return errors.BadRecord()
    return errors.BrokerAway()
