#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Which results go: those that are too old, and, where all together are too large, the oldest of whoever has most. None
goes while it is read.

Libraries: none.
"""

import collections
import contextlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modules.configuration import StoreOptions
from modules.jobs import leftovers
from modules.jobs.aging import Aging
from modules.jobs.contract import Queue
from modules.jobs.job import Job
from modules.jobs.store import Store
from modules.jobs.work import run_guarded

logger = logging.getLogger(__name__)

#: seconds between two searches for results that are too old
ROUND = 600

#: seconds for which a result must have been nearly old before it goes, where it is kept for longer than that
HOLD = 24 * 3600

#: beside the record of jobs: since when results are nearly old
AGES = 'jobs.ages'


@dataclass(frozen = True)
class Kept:
    """A folder that is kept."""

    folder: Path
    #: whose it is
    sender: str
    #: seconds of the clock at which it was finished
    finished: float
    #: in bytes
    size: int
    #: the job that the record knows; None for a folder that was set aside
    job: Job | None = None


class Retention:
    """
    Remove finished jobs that are too old or too many, in a thread of its own.

    :param queue: removes
    :type queue: Queue
    :param store: keeps the jobs
    :type store: Store
    :param options: how long and how much
    :type options: StoreOptions
    :param clock: the clock on the wall, in seconds
    :type clock: Callable[[], float]
    :param steady: a clock without jumps, in seconds
    :type steady: Callable[[], float]
    """

    def __init__(self,
                 queue: Queue,
                 store: Store,
                 options: StoreOptions,
                 *,
                 clock: Callable[[], float] = time.time,
                 steady: Callable[[], float] = time.monotonic):
        self.queue = queue
        self.store = store
        self.seconds = options.retention_hours * 3600
        self.max_bytes = options.max_outputs_bytes
        self._clock = clock
        self._aging = Aging(store.home / AGES, min(HOLD, self.seconds), clock, steady)
        self._wanted = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target = self._run, name = 'retention', daemon = True)
        self._thread.start()

    def request_cleanup(self) -> None:
        """Clean up soon: something has come."""
        self._wanted.set()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._wanted.set()
        self._thread.join(timeout = 10)

    def clean_up(self) -> None:
        """Remove what is too old, then of whoever has most until the rest is small enough."""
        kept = sorted([*self._jobs(), *self._set_aside()], key = lambda each: each.finished)
        old = set(self._old(kept) if self.seconds else ())
        left = [each for each in kept if each not in old or not self._drop(each, 'it is old')]
        while self.max_bytes and sum(each.size for each in left) > self.max_bytes:
            if not (gone := self._first_of_largest(left)):
                return
            left.remove(gone)
            self._drop(gone, 'of too many')

    def _old(self, kept: list[Kept]) -> list[Kept]:
        now = self._clock()
        nearly = now - self.seconds + self._aging.hold
        old_enough = self._aging.find_old_enough(
            {each.folder.name
             for each in kept if each.finished < nearly})
        return [
            each for each in kept
            if each.finished < now - self.seconds and each.folder.name in old_enough
        ]

    def _first_of_largest(self, kept: list[Kept]) -> Kept | None:
        """The oldest that nobody reads of the sender who has most; of the next one, where all are read."""
        sizes: collections.Counter[str] = collections.Counter()
        for each in kept:
            sizes[each.sender] += each.size
        free = [each for each in kept if not self._is_read(each)]
        return max(free, key = lambda each: sizes[each.sender], default = None)

    def _is_read(self, kept: Kept) -> bool:
        return kept.job is not None and self.store.readers.has_any(kept.job)

    def _drop(self, kept: Kept, reason: str) -> bool:
        """Whether it is gone."""
        if self._is_read(kept):
            return False
        logger.info('Job %s goes: %s', kept.folder.name, reason)
        if kept.job:
            self.queue.drop(kept.job)
        else:
            shutil.rmtree(kept.folder, ignore_errors = True)
        return True

    def _jobs(self) -> list[Kept]:
        return [
            Kept(job.folder, job.sender, job.finished.timestamp(), measure_folder(job.folder), job)
            for job in self.store.find_ended() if job.finished
        ]

    def _set_aside(self) -> list[Kept]:
        """They are nobody's, and go by when they were set aside."""
        return [
            Kept(folder, leftovers.ASIDE,
                 folder.stat().st_mtime, measure_folder(folder))
            for folder in leftovers.list_job_folders(self.store.home / leftovers.ASIDE)
        ]

    def _run(self) -> None:
        while not self._closing:
            run_guarded('Cleaning up', self.clean_up)
            self._wanted.wait(ROUND)
            self._wanted.clear()


def measure_folder(folder: Path) -> int:
    """
    Measure what a folder holds.

    :param folder: a folder, which may vanish meanwhile
    :type folder: Path
    :return: bytes
    :rtype: int
    """
    total = 0
    # unlike rglob, this does not mind folders that vanish
    for parent, _folders, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += Path(parent, name).lstat().st_size
    return total
