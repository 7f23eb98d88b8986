#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The jobs that have ended or were removed anywhere: each is dealt with once in this web process, and again where
something hindered it.

Libraries: none.
"""

import functools
import logging
import time
from collections.abc import Callable

from modules import errors
from modules.jobs.fleet.fetcher import ResultFetcher
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.fleet.live import LiveJobs

logger = logging.getLogger(__name__)

#: seconds after which a clip that could not be fetched, because the disk is full for instance, is tried again
HINDERED = 5.0

#: jobs whose hindrance is remembered, so that the log has it once
MOST_HINDERED = 10_000

#: milliseconds of news that are asked for again, because moments of Redis's clock are not quite in order
OVERLAP = 2000


class News:
    """
    What has ended, and how far this process has dealt with it.

    :param ledger: has the news
    :type ledger: Ledger
    :param live: the jobs that somebody holds
    :type live: LiveJobs
    :param fetcher: fetches what has ended
    :type fetcher: ResultFetcher
    """

    def __init__(self, ledger: Ledger, live: LiveJobs, fetcher: ResultFetcher):
        self._jobs = ledger.jobs
        self._live = live
        self._fetcher = fetcher
        #: id → moment of the news that was dealt with
        self._done: dict[str, int] = {}
        #: id → moment of the news that something hindered, and when it is tried again
        self._missed: dict[str, tuple[int, float]] = {}
        #: id → what hindered it, as the log has it
        self._hindered: dict[str, str] = {}
        #: when something was dealt with, by the monotonic clock
        self.last_active = time.monotonic()

    def catch_up(self, moment: int) -> None:
        """
        Fetch what has ended, remove what was removed elsewhere.

        :param moment: milliseconds of Redis's clock, now
        :type moment: int
        :raises modules.errors.BrokerAway: when Redis does not answer
        """
        # Redis's clock may have been set back
        latest = min(max(self._done.values(), default = 0), moment)
        since = min([latest, *(at for at, _again in self._missed.values())]) - OVERLAP
        news = dict(self._jobs.ended_since(max(0, since)))
        for identity, at in news.items():
            _at, again = self._missed.get(identity, (at, 0.0))
            if self._done.get(identity) == at or time.monotonic() < again:
                continue
            # until it is dealt with, later news do not make it old
            self._missed[identity] = at, time.monotonic() + HINDERED
            if self.attempt(identity, functools.partial(self._deal_with, identity)):
                self._done[identity] = at
                del self._missed[identity]
        self._missed = {name: kept for name, kept in self._missed.items() if name in news}
        self._done = {name: at for name, at in self._done.items() if at >= since}
        self.last_active = time.monotonic()

    def attempt(self, identity: str, work: Callable[[], None]) -> bool:
        """
        Do something for one job. What hinders it, hinders no other.

        :param identity: the job's id
        :type identity: str
        :param work: what to do
        :type work: Callable[[], None]
        :return: whether it need not be tried again
        :rtype: bool
        :raises modules.errors.BrokerAway: when Redis does not answer
        """
        try:
            work()
        except errors.BrokerAway:
            raise
        except (errors.Refusal, OSError) as error:
            if self._hindered.get(identity) != str(error):
                logger.warning('Job %s is left aside: %s', identity, error, exc_info = error)
            if len(self._hindered) < MOST_HINDERED:
                self._hindered[identity] = str(error)
            # what is unreadable stays so
            return isinstance(error, errors.BadRecord)
        finally:
            self.last_active = time.monotonic()
        self._hindered.pop(identity, None)
        return True

    def _deal_with(self, identity: str) -> None:
        store = self._fetcher.store
        if self._jobs.is_removed(identity):
            if job := store.find(identity):
                self._fetcher.drop(job)
        elif job := self._live.get(identity):
            self._live.refresh(job)
        elif found := self._jobs.find(identity, store.home / identity):
            self._fetcher.fetch(*found)
