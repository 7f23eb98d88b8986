#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The queue within this process: first come, first served, a worker thread for each device. What was accepted is in the
store, and goes on after the program was ended, however it ended.

Libraries: none.
"""

import logging
from collections.abc import Callable

from modules import errors
from modules.clips.animator import Animator
from modules.configuration import QueueOptions
from modules.jobs.contract import Place, Queue, QueueStatus
from modules.jobs.database import HomeInUse
from modules.jobs.job import Job
from modules.jobs.local.crew import Crew
from modules.jobs.local.dispatcher import Dispatcher
from modules.jobs.local.journal import Journal
from modules.jobs.local.line import Line
from modules.jobs.local.runner import Runner
from modules.jobs.local.workers import WorkerOptions, Workers
from modules.jobs.meter import Meter
from modules.jobs.pace import Pace
from modules.jobs.store import Store
from modules.progress import do_nothing

logger = logging.getLogger(__name__)

#: seconds that workers have to let go of what they do when the program ends
GRACE = 10.0


class LocalQueue(Queue):
    """
    A bounded queue and its workers.

    :param animator: does the work on the first device
    :type animator: Animator
    :param store: keeps the jobs
    :type store: Store
    :param options: how many jobs may wait
    :type options: QueueOptions
    :param workers: how the workers work
    :type workers: WorkerOptions | None
    :raises modules.jobs.database.HomeInUse: when another process has the store
    """

    def __init__(self,
                 animator: Animator,
                 store: Store,
                 options: QueueOptions,
                 workers: WorkerOptions | None = None):
        self.animator = animator
        self.store = store
        self.meter = Meter()
        self.on_end: Callable[[], None] = do_nothing
        self._line = Line(options)
        self._pace = Pace()
        # further devices come when this one is ready
        self._crew = Crew(self._pace, [animator])
        self._journal = Journal(store, self.meter)
        self._dispatcher = Dispatcher(self._line, self._crew, self._journal)
        workers = workers or WorkerOptions()
        runner = Runner(self._pace, self.meter, workers.has_progress_bar)
        self._workers = Workers(self._line, self._dispatcher, runner, workers,
                                lambda: self.on_end())
        self.meter.watch(lambda: len(self._line.jobs), lambda: len(self._crew.running))
        try:
            self._line.jobs.extend(self._journal.restore())
            # never later: then uploads are on their way, and have no row yet
            store.sweep()
        except errors.DiskFull:
            logger.error('Jobs are refused until %s can be written', store.home)
        self._workers.start(animator)

    def submit(self, job: Job) -> None:
        with self._line.changed:
            self.check_room(job.client)
            self._restore_late()
            self._journal.add(job)
            self._line.jobs.append(job)
            self._line.changed.notify_all()

    def check_room(self, client: str = '') -> None:
        with self._line.changed:
            seconds = self._pace.guess() / max(1, len(self._workers))
            self._line.check_room(client, retry_after = max(1, round(seconds)))

    def find(self, identity: str) -> Job:
        if not self._journal.is_restored:
            with self._line.changed:
                self._restore_late()
        return self._journal.find(identity)

    def find_by_link(self, link: str) -> Job | None:
        found = self.store.find_by_link(link)
        return self.find(found.id) if found else None

    def _restore_late(self) -> None:
        """Take over the jobs of an earlier run, where that could not be done at the start."""
        try:
            self._line.jobs.extend(self._journal.restore())
        except HomeInUse as error:
            raise errors.DiskFull from error
        self._line.changed.notify_all()

    def place(self, job: Job) -> Place:
        with self._line.changed:
            if job in self._crew.running:
                return Place(seconds = self._pace.left(job))
            if job not in self._line.jobs:
                return Place()
            position = self._line.jobs.index(job) + 1
            ahead = list(self._line.jobs)[:position]
            return Place(position, self._crew.seconds_left(ahead))

    def cancel(self, job: Job) -> None:
        self._dispatcher.cancel(job)

    def remove(self, job: Job) -> None:
        self._dispatcher.remove(job)

    drop = remove

    def status(self) -> QueueStatus:
        waiting = len(self._line.jobs)
        if not self._workers.is_alive:
            problem = errors.ShuttingDown() if self.is_closing else errors.Unavailable()
            return QueueStatus('FAILED', problem, waiting)
        state = 'BUSY' if waiting or self._crew.running else 'READY'
        return QueueStatus(state if self._workers.has_started else 'STARTING', self.store.problem(),
                           waiting)

    @property
    def is_closing(self) -> bool:
        return self._line.is_closed

    def close(self) -> None:
        self._dispatcher.close()
        self._workers.join(GRACE)
