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
from modules.i18n import Text, text
from modules.jobs.fleet.scripts import COMMON, SCRIPTS

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


class Connection:
    """
    A client of Redis and what is known of the way to it. May be used by several threads.

    :param url: where Redis is: ``redis://``, ``rediss://`` or ``unix://``
    :type url: str
    :param is_hurried: people wait: short patience, and who asks soon after a silence does not wait at all, provided
        that somebody calls :meth:`probe` again and again
    :type is_hurried: bool
    """

    def __init__(self, url: str, *, is_hurried: bool = False):
        seconds = HURRIED if is_hurried else PATIENT
        #: redis's annotations have text in all places where this client is answered bytes. It tries nothing twice by
        #: itself, because a message sent twice would be a job done twice
        self.client: Any = redis.Redis.from_url(
            url,
            socket_timeout = seconds,
            socket_connect_timeout = min(seconds, 3.0),
            retry = Retry(NoBackoff(), 0))
        self._scripts = {
            name: self.client.register_script(COMMON + script)
            for name, script in SCRIPTS.items()
        }
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

    def run_script(self, name: str, *arguments: bytes | str | int) -> Any:
        """
        Change a job.

        :param name: one of :data:`modules.jobs.fleet.scripts.SCRIPTS`
        :type name: str
        :param arguments: as the script has them, the job's id first
        :type arguments: bytes | str | int
        :return: what the script returns: a number, or bytes
        :rtype: Any
        :raises modules.errors.BrokerAway: when Redis does not answer
        """
        with self.reach():
            return self._scripts[name](args = arguments)

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
            moment = read_clock(self.client)
        self._away_until = 0.0
        return moment

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except redis.exceptions.ResponseError as error:
            # it answers, so nobody needs to be spared a wait
            raise _refusal_of(error) from error
        except AWAY as error:
            self._away_until = time.monotonic() + self._remembered
            raise errors.BrokerAway from error

    def eviction_warning(self) -> Text | None:
        """
        Warn of a Redis that throws jobs away when it is full.

        :return: the words; None where it keeps all, or does not say
        :rtype: Text | None
        """
        memory = self._memory()
        policy = memory.get('maxmemory_policy', NO_EVICTION)
        is_evicting = memory.get('maxmemory') and policy != NO_EVICTION
        return text('doctor.evicts', policy = policy) if is_evicting else None

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


def read_clock(client: Any) -> float:
    """
    Read Redis's clock, the one that everybody shares.

    :param client: of Redis
    :type client: Any
    :return: seconds since 1970
    :rtype: float
    """
    seconds, microseconds = client.time()
    return seconds + microseconds / 1e6


def _refusal_of(error: redis.exceptions.ResponseError) -> errors.Refusal:
    words = f'{error} '
    is_refusing = isinstance(error,
                             redis.exceptions.OutOfMemoryError | redis.exceptions.ReadOnlyError)
    if is_refusing or any(word in words for word in REFUSING):
        return errors.BrokerRefuses()
    if 'WRONGTYPE ' in words:
        return errors.BadRecord()
    return errors.BrokerAway()
