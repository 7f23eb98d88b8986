#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Where jobs wait for a worker: what every queue offers.

Libraries: none.
"""

from typing import Protocol

from modules import errors
from modules.jobs.job import Job


class Queue(Protocol):
    """Where jobs wait for a worker, and where they are found again."""

    def submit(self, job: Job) -> None:
        """
        Accept a job: once this returns, it is not lost.

        :param job: a job in state ``queued``, whose upload is on the disk
        :type job: Job
        :raises modules.errors.QueueFull: when too many wait
        :raises modules.errors.DiskFull: when it cannot be recorded
        :raises modules.errors.ShuttingDown: when the program ends
        """

    def find(self, identity: str) -> Job:
        """
        A job that was submitted and not removed, at whatever time.

        :param identity: its id
        :type identity: str
        :return: the job
        :rtype: Job
        :raises modules.errors.NotFound: when there is none
        """

    def position(self, job: Job) -> int | None:
        """
        Its place in the line.

        :param job: a job
        :type job: Job
        :return: 1 for the next; None when it does not wait
        :rtype: int | None
        """

    def seconds_left(self, job: Job) -> float | None:
        """
        How long until it is done, learnt from the jobs before.

        :param job: a job
        :type job: Job
        :return: seconds; None when nothing is known yet, or it has ended
        :rtype: float | None
        """

    def cancel(self, job: Job) -> None:
        """
        Stop a job: at once when it waits, within one step when it runs, not at all when it has ended.

        :param job: a job that was submitted here
        :type job: Job
        """

    def remove(self, job: Job) -> None:
        """
        Forget a job and remove its files; stops it where needed.

        :param job: a job that was submitted here
        :type job: Job
        :raises modules.errors.DiskFull: when that cannot be recorded
        """

    def drop(self, job: Job) -> None:
        """
        Remove what rests here of a job that has ended, because it is old or one of too many.

        :param job: the job
        :type job: Job
        :raises modules.errors.DiskFull: when that cannot be recorded
        """

    def state(self) -> str:
        """
        What ``/health`` tells while there is no :meth:`problem`.

        :return: ``STARTING``, ``READY``, ``BUSY`` or ``FAILED``
        :rtype: str
        """

    def problem(self) -> errors.Refusal | None:
        """
        Why jobs are refused, or their clips do not come.

        :return: the reason; None when all is well
        :rtype: errors.Refusal | None
        """

    def waiting(self) -> int:
        """
        How many jobs wait.

        :return: their number, running ones not counted
        :rtype: int
        """

    def close(self) -> None:
        """Stop what runs and end the workers. What waits goes on after the next start, unless its client is gone."""
