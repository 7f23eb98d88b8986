#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How many jobs and workers there are, and how long a job will take: what can be said without being exact.

Libraries: none.
"""

import contextlib
from collections.abc import Hashable

from modules import errors
from modules.jobs.contract import Place
from modules.jobs.fleet.broker import HEARTBEAT_TIMEOUT
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.job import Job, now
from modules.jobs.pace import FIRST_GUESS, assign, kind_of


class Estimates:
    """
    Figures of a fleet; zeros while Redis is away.

    :param ledger: knows jobs and workers
    :type ledger: Ledger
    """

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        #: what jobs that take equally long have in common → seconds of one, learnt
        self._seconds: dict[Hashable, float] = {}

    def counts(self) -> tuple[int, int]:
        """
        Count the jobs that wait and those that run.

        :return: both numbers
        :rtype: tuple[int, int]
        """
        try:
            return self._ledger.line.counts()
        except (errors.BrokerAway, errors.BadRecord):
            return 0, 0

    def workers(self) -> int:
        """
        Count the workers that are alive, whatever they can do.

        :return: their number
        :rtype: int
        """
        try:
            known = self._ledger.members.known().values()
            return sum(facts['silent'] <= HEARTBEAT_TIMEOUT for facts in known)
        except errors.BrokerAway:
            return 0

    def place(self, job: Job) -> Place:
        """
        Tell where a job stands, and how long it still takes.

        :param job: a job
        :type job: Job
        :return: both, as far as they are known
        :rtype: Place
        """
        if job.has_ended:
            return Place()
        position = None
        with contextlib.suppress(errors.BrokerAway, errors.BadRecord):
            position = self._ledger.line.position(job.id)
        return Place(position, self._seconds_left(job, position))

    def learn(self, job: Job) -> None:
        """
        Learn from a job how long those of its kind take.

        :param job: a job that has ended
        :type job: Job
        """
        if job.state == 'done' and job.started and job.finished:
            seconds = (job.finished - job.started).total_seconds()
            before = self._seconds.get(kind_of(job), seconds)
            self._seconds[kind_of(job)] = before + 0.3 * (seconds - before)

    def refuse(self, answer: bytes) -> None:
        """
        Refuse a job for which there is no place.

        :param answer: from :meth:`modules.jobs.fleet.line.Line.submit`
        :type answer: bytes
        :raises modules.errors.QueueFull: when too many wait
        :raises modules.errors.TooManyWaiting: when too many of its client wait
        """
        refusals = {b'full': errors.QueueFull, b'many': errors.TooManyWaiting}
        if answer in refusals:
            known = self._seconds.values()
            mean = sum(known) / len(known) if known else FIRST_GUESS
            raise refusals[answer](retry_after = max(1, round(mean / max(1, self.workers()))))

    def _seconds_left(self, job: Job, position: int | None) -> float | None:
        whole = self._seconds.get(kind_of(job))
        if job.started:
            passed, progress = (now() - job.started).total_seconds(), job.progress
            if whole is None and progress.phase == 'step' and progress.step:
                whole = passed * progress.steps / progress.step
            return None if whole is None else max(0.0, whole - passed)
        if whole is None or not position:
            return None
        running, workers = self.counts()[1], max(1, self.workers())
        # those that run are half done, by and large
        free = {worker: whole / 2 if worker < running else 0.0 for worker in range(workers)}
        *_before, (_worker, _begun, done) = assign(free, [dict.fromkeys(free, whole)] * position)
        return done
