#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How many jobs and workers there are, and how long a job will take: what can be said without being exact.

Libraries: none.
"""

import contextlib

from modules import errors
from modules.jobs.contract import Place
from modules.jobs.fleet.broker import HEARTBEAT
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.job import Job, now
from modules.jobs.pace import FIRST_GUESS, assign


class Estimates:
    """
    Figures of a fleet; zeros while Redis is away.

    :param ledger: knows jobs and workers
    :type ledger: Ledger
    """

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        #: engine → seconds of a job, learnt
        self._seconds: dict[str, float] = {}

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
            return sum(facts['silent'] <= HEARTBEAT for facts in known)
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
        Learn from a job how long those of its engine take.

        :param job: a job that has ended
        :type job: Job
        """
        if job.state == 'done' and job.started and job.finished:
            seconds = (job.finished - job.started).total_seconds()
            before = self._seconds.get(job.request.engine, seconds)
            self._seconds[job.request.engine] = before + 0.3 * (seconds - before)

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
        whole = self._seconds.get(job.request.engine)
        if whole is None:
            return None
        if job.started:
            return max(0.0, whole - (now() - job.started).total_seconds())
        if not position:
            return None
        running, workers = self.counts()[1], max(1, self.workers())
        # those that run are half done, by and large
        free = {worker: whole / 2 if worker < running else 0.0 for worker in range(workers)}
        *_before, (_worker, _begun, done) = assign(free, [dict.fromkeys(free, whole)] * position)
        return done
