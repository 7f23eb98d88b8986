#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the threads of one worker have in common: whether it ends, and whether others may be taken for dead.

Libraries: none.
"""

import logging
import threading
import time
from dataclasses import dataclass

from modules.jobs.fleet.broker import HEARTBEAT
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.work import IDLE_SECONDS

logger = logging.getLogger(__name__)


@dataclass(frozen = True)
class Intervals:
    """How long a worker waits, in seconds."""

    #: after which the others take a silent worker for dead; the same for all of them
    heartbeat: float = HEARTBEAT
    #: without a job, after which it does what makes later ones faster
    pause: float = IDLE_SECONDS


class Shift:
    """
    One run of a worker.

    :param ledger: knows the jobs
    :type ledger: Ledger
    :param shared: what is compared with the web side
    :type shared: dict[str, str]
    :param intervals: how long it waits
    :type intervals: Intervals
    """

    def __init__(self, ledger: Ledger, shared: dict[str, str], intervals: Intervals):
        self.ledger = ledger
        self.shared = shared
        self.intervals = intervals
        self.closing = threading.Event()
        #: it has ended because it could not work
        self.has_failed = False
        self._quiet_until = 0.0
        self.note_outage()

    def fail(self, reason: str) -> None:
        """
        End the worker, because it cannot work; whoever started it starts it again.

        :param reason: for the log
        :type reason: str
        """
        logger.error('This worker cannot work and ends: %s', reason)
        self.has_failed = True
        self.closing.set()

    def note_outage(self) -> None:
        """Remember that Redis was away: nobody was heard of for a while, and nobody is dead because of that."""
        self._quiet_until = time.monotonic() + self.intervals.heartbeat

    @property
    def is_after_outage(self) -> bool:
        """Whether Redis was away a moment ago, so that silent workers may be alive."""
        return time.monotonic() < self._quiet_until
