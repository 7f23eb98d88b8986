#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The jobs that wait within this process, and how many may.

Libraries: none.
"""

import collections
import threading

from modules import errors
from modules.configuration import QueueOptions
from modules.jobs.job import Job


class Line:
    """
    The waiting jobs, first come, first served. Its condition is the lock of the whole queue.

    :param options: how many may wait
    :type options: QueueOptions
    """

    def __init__(self, options: QueueOptions):
        self._options = options
        #: held while anything in the queue changes; notified when there may be work, or the program ends
        self.changed = threading.Condition()
        self.jobs: collections.deque[Job] = collections.deque()
        #: the program ends, so nobody takes a place and nobody is begun
        self.is_closed = False

    def check_room(self, client: str, retry_after: int) -> None:
        """
        Refuse where no place is free.

        :param client: who wants one; empty for whoever has no limit of their own
        :type client: str
        :param retry_after: seconds until a place becomes free, by and large
        :type retry_after: int
        :raises modules.errors.QueueFull: when too many wait
        :raises modules.errors.TooManyWaiting: when too many of this client wait
        :raises modules.errors.ShuttingDown: when the program ends
        """
        if self.is_closed:
            raise errors.ShuttingDown
        if len(self.jobs) >= self._options.max_waiting:
            raise errors.QueueFull(retry_after = retry_after)
        # counted each time, so that no way out of the line can be forgotten
        own = sum(job.client == client for job in self.jobs) if client else 0
        if own >= self._options.max_waiting_per_client > 0:
            raise errors.TooManyWaiting(retry_after = retry_after)

    def notify_jobs(self) -> None:
        """Wake whoever follows a job that waits: everybody's place has changed."""
        for job in self.jobs:
            job.notify()
