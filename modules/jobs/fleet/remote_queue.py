#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The queue of many machines, as a web process sees it. Redis keeps what has not ended, so any web process answers for any
job; what has ended is fetched by each of them into its own store.

Libraries: none.
"""

import contextlib
import copy
import functools
import logging
import threading
from collections.abc import Callable

from modules import errors
from modules.configuration import QueueOptions
from modules.jobs import lifecycle
from modules.jobs.contract import Place, Queue, QueueStatus
from modules.jobs.fleet.agreement import fitting, queue_name
from modules.jobs.fleet.estimates import Estimates
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.fleet.listener import Listener, News
from modules.jobs.fleet.live import LiveJobs
from modules.jobs.job import Job
from modules.jobs.leftovers import FOLDER
from modules.jobs.meter import Meter
from modules.jobs.store import Store
from modules.progress import do_nothing

logger = logging.getLogger(__name__)


class RemoteQueue(Queue):
    """
    A queue whose workers are elsewhere. Whatever asks Redis may raise :class:`modules.errors.BrokerAway`.

    :param store: keeps what has ended
    :type store: Store
    :param ledger: keeps the rest
    :type ledger: Ledger
    :param options: how many may wait
    :type options: QueueOptions
    :param shared: what workers must have in common with this process
    :type shared: dict[str, str]
    """

    def __init__(self, store: Store, ledger: Ledger, options: QueueOptions, shared: dict[str, str]):
        self.shared = shared
        self.meter = Meter()
        #: called after every job that was fetched
        self.on_end: Callable[[], None] = do_nothing
        self._ledger = ledger
        self._options = options
        #: jobs that came through this process: it alone counts them
        self._own: set[str] = set()
        self._closing = threading.Event()
        self._estimates = Estimates(ledger)

        def note_end(job: Job) -> None:
            if job.id in self._own:
                self._own.discard(job.id)
                self.meter.count_job(job)
            self._estimates.learn(job)
            self.on_end()

        self._live = LiveJobs(ledger, store, note_end)
        self._news = News(ledger, self._live)
        self._listener = Listener(ledger, self._live, self._news, shared)
        self.meter.watch(lambda: self._estimates.counts()[0], lambda: self._estimates.counts()[1])
        self.meter.watch_workers(self._estimates.workers)
        try:
            store.open()
            store.sweep()
        except errors.DiskFull:
            logger.error('No clip can be fetched until %s can be written', store.home)
        self._listener.start()

    def submit(self, job: Job) -> None:
        if self.is_closing:
            raise errors.ShuttingDown
        self._own.add(job.id)
        name = queue_name(job.request.engine, self.shared)
        try:
            self._estimates.refuse(self._ledger.line.submit(job, name, self._options))
        except errors.Refusal as refusal:
            self._own.discard(job.id)
            self._listener.note(refusal)
            raise
        # not before: what Redis does not know, somebody has removed
        self._live.add(job)
        with contextlib.suppress(errors.BrokerAway):
            # it may have come far already
            self._news.attempt(job.id, functools.partial(self._live.refresh, job))

    def check_room(self, client: str = '') -> None:
        if self.is_closing:
            raise errors.ShuttingDown
        self._estimates.refuse(self._ledger.line.check_room(client, self._options))

    def find(self, identity: str) -> Job:
        if not FOLDER.fullmatch(identity):
            raise errors.NotFound
        return self._live.find(identity)

    def find_by_link(self, link: str) -> Job | None:
        return self._live.find_by_link(link)

    def place(self, job: Job) -> Place:
        return self._estimates.place(job)

    def cancel(self, job: Job) -> None:
        ended = copy.copy(job)
        lifecycle.end(ended, 'cancelled')
        self._ledger.line.cancel(ended)
        self._live.refresh(job)

    def remove(self, job: Job) -> None:
        self._ledger.line.remove(job.id)
        self.drop(job)
        if not job.has_ended:
            lifecycle.end(job, 'cancelled')
            job.notify()

    def drop(self, job: Job) -> None:
        self._live.drop(job)

    def status(self) -> QueueStatus:

        def find_problem() -> errors.Refusal | None:
            if self.is_closing:
                return errors.ShuttingDown()
            # what has ended is to be put into the store
            return self._listener.problem() or self._live.store.problem()

        state = 'FAILED' if find_problem() else _fleet_state(self._ledger, self.shared)
        # looking for the state may have found that the broker has gone
        return QueueStatus(state, find_problem(), self._estimates.counts()[0])

    @property
    def is_closing(self) -> bool:
        return self._closing.is_set()

    def close(self) -> None:
        self._closing.set()
        for job in self._live.held():
            if job.is_awaited and job.id in self._own and not job.has_ended:
                lifecycle.end(job, 'failed', errors.ShuttingDown())
                try:
                    self._ledger.line.cancel(job)
                except (errors.BrokerAway, errors.BadRecord):
                    logger.warning('Job %s could not be cancelled', job.id)
            job.notify()
        self._listener.close()
        self._ledger.close()


def _fleet_state(ledger: Ledger, shared: dict[str, str]) -> str:
    try:
        if not fitting(ledger.members, shared):
            return 'STARTING'
        return 'BUSY' if any(ledger.line.counts()) else 'READY'
    except (errors.BrokerAway, errors.BadRecord):
        return 'FAILED'
