#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Talking to Redis: how long anybody waits for it, who is spared the wait while it hangs, and what its errors mean here.

Libraries: redis.
"""

import contextlib
import time
from collections.abc import Iterator

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

#: bytes that are written at once: one piece has the whole patience
PIECE = 1024 * 1024

#: what Redis says when it takes nothing new; scripts hand these words on
REFUSING = ('OOM ', 'READONLY ', 'MISCONF ', 'NOREPLICAS ')


def connect(url: str, seconds: float = PATIENT) -> redis.Redis:
    """
    A client. It tries nothing twice by itself, because a message sent twice would be a job done twice.

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


class Contact:
    """
    The way to Redis. May be used by several threads.

    :param url: where it is
    :type url: str
    :param is_hurried: people wait: short patience, and who comes soon after a silence does not wait at all, provided
        that somebody calls :meth:`probe` again and again
    :type is_hurried: bool
    """

    def __init__(self, url: str, *, is_hurried: bool = False):
        self.client = connect(url, HURRIED if is_hurried else PATIENT)
        self._remembered = REMEMBERED if is_hurried else 0.0
        self._away_until = 0.0

    @contextlib.contextmanager
    def reaching(self) -> Iterator[None]:
        """
        Talk to the broker.

        :yield: nothing
        :ytype: None
        :raises modules.errors.BrokerAway: when it does not answer, or did not a moment ago
        """
        if self.is_away:
            raise errors.BrokerAway
        with self._translated():
            yield

    @property
    def is_away(self) -> bool:
        """Whether the broker did not answer a moment ago."""
        return time.monotonic() < self._away_until

    def probe(self) -> float:
        """
        Try whether the broker answers, whatever was a moment ago.

        :return: Redis's clock, the one that everybody shares: seconds since 1970
        :rtype: float
        """
        with self._translated():
            whole, millionths = self.client.time()
        self._away_until = 0.0
        return whole + millionths / 1e6

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except redis.exceptions.ResponseError as error:
            # it answers, so there is nothing to be spared
            raise meaning(error) from error
        except AWAY as error:
            self._away_until = time.monotonic() + self._remembered
            raise errors.BrokerAway from error


def meaning(error: redis.exceptions.ResponseError) -> errors.Refusal:
    """
    What an answer that is an error means.

    :param error: the answer
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
