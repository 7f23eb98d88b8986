#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The thread of a web process that follows what changes in Redis, and what it knows of the news there.

Libraries: none.
"""

import functools
import logging
import os
import platform
import threading
import time
from collections.abc import Callable

from modules import errors
from modules.i18n import Text, of_this_machine
from modules.jobs.fleet.broker import HEARTBEAT_TIMEOUT
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.fleet.live import LiveJobs
from modules.jobs.work import run_guarded

logger = logging.getLogger(__name__)

#: seconds between two tries to reach a broker that is away
AGAIN = 1.0

#: seconds without a whole round after which nobody is thought to listen; one job's files may take a while
DEAF = 60.0

#: seconds after which a clip that could not be fetched, because the disk is full for instance, is tried again
HINDERED = 5.0

#: jobs whose hindrance is remembered, so that the log has it once
MOST_HINDERED = 10_000

#: milliseconds of news that are asked for again, because moments of Redis's clock are not quite in order
OVERLAP = 2000


class News:
    """
    The jobs that have ended or were removed anywhere: each is dealt with once in this process, and again where
    something hindered it.

    :param ledger: has the news
    :type ledger: Ledger
    :param live: has the jobs, and fetches those that have ended
    :type live: LiveJobs
    """

    def __init__(self, ledger: Ledger, live: LiveJobs):
        self._jobs = ledger.jobs
        self._live = live
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
            if self.attempt(identity, functools.partial(self._live.handle_end, identity)):
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


class Listener:
    """
    Keeps live jobs up to date, and this process known to the workers.

    :param ledger: where things change
    :type ledger: Ledger
    :param live: the jobs that somebody holds
    :type live: LiveJobs
    :param news: deals with what has ended
    :type news: News
    :param shared: what workers must have in common with this process
    :type shared: dict[str, str]
    """

    def __init__(self, ledger: Ledger, live: LiveJobs, news: News, shared: dict[str, str]):
        self._ledger = ledger
        self._live = live
        self._news = news
        self._shared = shared
        self._name = f'{platform.node()}-{os.getpid()}'
        #: why this process does not follow changes, or jobs are not taken
        self._trouble: errors.Refusal | None = None
        #: what was logged about Redis
        self._warned: Text | None = None
        self._enrolled = -HEARTBEAT_TIMEOUT
        self._refreshed = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target = self._run, name = 'listener', daemon = True)

    def start(self) -> None:
        """Begin to follow changes."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join(timeout = 5)

    def note(self, refusal: errors.Refusal) -> None:
        """
        Make a refusal of Redis known at once, not only when this thread next writes.

        :param refusal: why a job was not taken
        :type refusal: errors.Refusal
        """
        if isinstance(refusal, errors.BrokerRefuses):
            self._trouble = errors.BrokerRefuses()

    def problem(self) -> errors.Refusal | None:
        """
        Tell why changes are not followed, or jobs not taken.

        :return: the reason; None when all is well
        :rtype: errors.Refusal | None
        """
        if self._trouble or self._ledger.connection.is_away:
            return self._trouble or errors.BrokerAway()
        is_deaf = time.monotonic() - self._news.last_active > DEAF
        return errors.NotListening() if is_deaf or not self._thread.is_alive() else None

    def _run(self) -> None:
        """Follow changes; whatever goes wrong, begin again."""
        while not self._closing.is_set():
            _state, refusal = run_guarded('Listening to the broker', self._follow_changes)
            if isinstance(refusal, errors.BrokerAway):
                if not isinstance(self._trouble, errors.BrokerAway):
                    logger.warning('The broker is away')
                # without its traceback, which holds on to connections
                self._trouble = type(refusal)()
            elif refusal:
                self._trouble = errors.NotListening()
            self._closing.wait(AGAIN)

    def _follow_changes(self) -> None:
        self._update(set())
        # whenever Redis is there again it may be set otherwise
        warning = self._ledger.connection.eviction_warning()
        if warning and warning != self._warned:
            logger.warning('%s', warning.in_(of_this_machine()))
        self._warned = warning
        for identities in self._ledger.jobs.changes():
            if self._closing.is_set():
                return
            self._update(identities)

    def _update(self, identities: set[str]) -> None:
        moment = self._ledger.connection.probe()
        # every second all are refreshed, because a message may have been lost
        is_time = time.monotonic() - self._refreshed > 1
        if is_time:
            self._refreshed = time.monotonic()
        for job in self._live.held():
            if not job.has_ended and (job.id in identities or is_time):
                self._news.attempt(job.id, functools.partial(self._live.refresh, job))
            elif job.state == 'queued':
                job.notify()
        self._news.catch_up(int(moment * 1000))
        self._trouble = self._enrol()

    def _enrol(self) -> errors.Refusal | None:
        """Write that this process is there; return why that, and thus anything else, cannot be written."""
        is_refused = isinstance(self._trouble, errors.BrokerRefuses)
        if is_refused or time.monotonic() - self._enrolled > HEARTBEAT_TIMEOUT / 3:
            try:
                self._ledger.members.enrol(self._name, {'shared': self._shared}, 'webs')
                self._ledger.connection.check_memory()
            except errors.BrokerRefuses as refusal:
                if not is_refused:
                    logger.error('The broker takes no jobs: %s', refusal.__cause__ or 'it is full')
                return errors.BrokerRefuses()
            self._enrolled = time.monotonic()
        return None
