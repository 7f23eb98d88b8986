#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the queue within this process remembers of jobs, and how that gets into the store.

Libraries: none.
"""

import copy
import logging

from modules import errors
from modules.jobs import lifecycle
from modules.jobs.job import MOST_ATTEMPTS, Job
from modules.jobs.leftovers import remove_folder
from modules.jobs.meter import Meter
from modules.jobs.store import Store

logger = logging.getLogger(__name__)


class Journal:
    """
    Jobs by their ids: in memory those that have not ended and those whose end could not be recorded; the rest in the
    store. Used under the queue's own lock.

    :param store: keeps the jobs
    :type store: Store
    :param meter: counts those that end
    :type meter: Meter
    """

    def __init__(self, store: Store, meter: Meter):
        self.store = store
        #: the jobs of an earlier run are known
        self.is_restored = False
        self._meter = meter
        self._jobs: dict[str, Job] = {}

    def restore(self) -> list[Job]:
        """
        Take over the jobs of an earlier run, unless that is done.

        :return: those that are to wait again
        :rtype: list[Job]
        :raises modules.jobs.database.HomeInUse: when another process has the store
        :raises modules.errors.DiskFull: when that cannot be done; worth trying again
        """
        if self.is_restored:
            return []
        self.store.open()
        jobs = self.store.find_unfinished()
        # first, because this may fail, and then all of it is tried again
        for job in jobs:
            if job.is_awaited:
                self.store.remove(job)
                remove_folder(job.folder)
        waiting = [job for job in jobs if not job.is_awaited and not self._give_up(job)]
        for job in waiting:
            job.state, job.started = 'queued', None
            self._jobs[job.id] = job
        self.is_restored = True
        return waiting

    def _give_up(self, job: Job) -> bool:
        """End a job that the program did not survive several times; False where it may be tried again."""
        if job.attempts < MOST_ATTEMPTS:
            return False
        logger.error('Job %s has ended the program %s times and is given up', job.id, job.attempts)
        self.end(job, 'failed', errors.Crashed())
        return True

    def add(self, job: Job) -> None:
        """
        Record a new job.

        :param job: the job
        :type job: Job
        :raises modules.errors.DiskFull: when it cannot be recorded
        """
        self.store.add(job)
        self.save_ends()
        self._jobs[job.id] = job

    def find(self, identity: str) -> Job:
        """
        Find a job.

        :param identity: its id
        :type identity: str
        :return: the job
        :rtype: Job
        :raises modules.errors.NotFound: when there is none
        """
        job = self._jobs.get(identity) or self.store.find(identity)
        if not job:
            raise errors.NotFound
        return job

    def is_removed(self, job: Job) -> bool:
        """
        Find out whether a job was removed while it ran.

        :param job: a job that a worker has
        :type job: Job
        :return: the answer
        :rtype: bool
        """
        return job.id not in self._jobs

    def forget(self, job: Job) -> None:
        """
        Keep nothing of a job in memory.

        :param job: a job that is no longer in the store
        :type job: Job
        """
        self._jobs.pop(job.id, None)

    def save(self, job: Job) -> bool:
        """
        Record a job; where that cannot be done, it goes on all the same, and a restart would begin it once more.

        :param job: the job as it is now
        :type job: Job
        :return: whether it is recorded
        :rtype: bool
        """
        try:
            self.store.save(job)
        except errors.DiskFull:
            return False
        return True

    def end(self, job: Job, state: str, error: errors.Refusal | None = None) -> None:
        """
        Let a job enter a final state, and count it.

        :param job: the job
        :type job: Job
        :param state: one of :data:`modules.jobs.job.FINAL_STATES`
        :type state: str
        :param error: why, for ``failed``
        :type error: errors.Refusal | None
        """
        # who waits for the end may restart the program at once, so it is recorded first
        ended = copy.copy(job)
        lifecycle.end(ended, state, error)
        if self.save(ended):
            self.forget(job)
        else:
            self._jobs[job.id] = job
        lifecycle.end(job, state, error, ended.finished)
        job.notify()
        self._meter.count_job(job)

    def save_ends(self) -> None:
        """Record the ends that could not be recorded when they came."""
        for job in [job for job in self._jobs.values() if job.has_ended]:
            if self.save(job):
                self.forget(job)
