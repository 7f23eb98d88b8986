#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Where jobs wait for a worker: what every queue offers.

Libraries: none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from modules import errors
from modules.jobs.job import Job
from modules.jobs.meter import Meter


@dataclass(frozen = True)
class Place:
    """How long a job still takes."""

    #: 1 for the next to be begun; None when it does not wait, or that is not known just now
    position: int | None = None
    #: until it is done, learnt from the jobs before; None when nothing is known yet, or it has ended
    seconds: float | None = None


@dataclass(frozen = True)
class QueueStatus:
    """What ``/health`` says of a queue."""

    #: ``STARTING``, ``READY``, ``BUSY`` or ``FAILED``
    state: str
    #: why jobs are refused, or their clips do not come; None when all is well
    problem: errors.Refusal | None
    #: jobs that wait, running ones not counted
    waiting: int


@runtime_checkable
class Queue(Protocol):
    """Where jobs wait for a worker, and where they are found again. Nobody else changes a job."""

    #: counts for ``/metrics``
    meter: Meter
    #: called after every job that has ended here
    on_end: Callable[[], None]

    def submit(self, job: Job) -> None:
        """
        Accept a job: once this returns, it is not lost.

        :param job: a job in state ``queued``, whose upload is on the disk
        :type job: Job
        :raises modules.errors.QueueFull: when too many wait
        :raises modules.errors.TooManyWaiting: when too many of its client wait
        :raises modules.errors.DiskFull: when it cannot be recorded
        :raises modules.errors.BrokerAway: when Redis is needed and does not answer
        :raises modules.errors.ShuttingDown: when the program ends
        """

    def check_room(self, client: str = '') -> None:
        """
        Refuse early what :meth:`submit` would refuse.

        :param client: whose the job is; empty for one without a limit of its own
        :type client: str
        :raises modules.errors.QueueFull: when too many wait
        :raises modules.errors.TooManyWaiting: when too many of this client wait
        :raises modules.errors.BrokerAway: when Redis is needed and does not answer
        :raises modules.errors.ShuttingDown: when the program ends
        """

    def find(self, identity: str) -> Job:
        """
        Find a job that was submitted and not removed, at whatever time.

        :param identity: its id
        :type identity: str
        :return: the job
        :rtype: Job
        :raises modules.errors.NotFound: when there is none
        :raises modules.errors.DiskFull: while the jobs of an earlier run cannot be looked for
        :raises modules.errors.BrokerAway: when Redis is needed and does not answer
        """

    def find_by_link(self, link: str) -> Job | None:
        """
        Find a job by the id that others have of its clip.

        :param link: from :func:`modules.jobs.job.link_id`, or anything else a stranger may have sent
        :type link: str
        :return: the job, or None
        :rtype: Job | None
        :raises modules.errors.Refusal: as :meth:`find`
        """

    def place(self, job: Job) -> Place:
        """
        Tell where a job stands, and how long it still takes.

        :param job: a job
        :type job: Job
        :return: both, as far as they are known
        :rtype: Place
        """

    def cancel(self, job: Job) -> None:
        """
        Stop a job: at once when it waits, within one step when it runs, not at all when it has ended.

        :param job: a job that was submitted here
        :type job: Job
        """

    def remove(self, job: Job) -> None:
        """
        Forget a job everywhere and remove its files; stops it where needed.

        :param job: a job that was submitted here
        :type job: Job
        :raises modules.errors.DiskFull: when that cannot be recorded
        """

    def drop(self, job: Job) -> None:
        """
        Remove what this process keeps of a job that has ended, because it is old or one of too many.

        :param job: the job
        :type job: Job
        :raises modules.errors.DiskFull: when that cannot be recorded
        """

    def status(self) -> QueueStatus:
        """
        Tell how the queue is.

        :return: its state, what is wrong, and how many jobs wait
        :rtype: QueueStatus
        """

    @property
    def is_closing(self) -> bool:
        """Whether the program ends."""

    def close(self) -> None:
        """Stop what runs and end the workers. What waits goes on after the next start, unless its client is gone."""
