#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Files of finished jobs: the one that was asked for is there, every other is made of the kept frames when somebody wants
it, and kept too. Old ones go, never while they are read.

Libraries: none.
"""

import contextlib
import logging
import os
import tempfile
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from modules import errors
from modules.animation import FRAMES, MADE, PREVIEW, Animator
from modules.configuration import StoreOptions
from modules.jobs import Job, Queue, file_name, now
from modules.jobs.store import WORKSHOP, Store, settle
from modules.jobs.work import outcome

logger = logging.getLogger(__name__)

#: files made at once
AT_ONCE = 2

#: seconds between two looks for results that are too old
ROUND = 600


def delivered_names(format_name: str) -> tuple[str, ...]:
    """
    The files that a worker delivers; whatever else it says is neither read nor written.

    :param format_name: the one that was asked for, of :data:`modules.encoders.TABLE`
    :type format_name: str
    :return: their names
    :rtype: tuple[str, ...]
    """
    return file_name(format_name), FRAMES, MADE, PREVIEW


class Results:
    """
    The files of finished jobs.

    :param animator: makes files of kept frames
    :type animator: Animator
    :param store: keeps the jobs
    :type store: Store
    """

    def __init__(self, animator: Animator, store: Store):
        self.animator = animator
        self.store = store
        # two requests for one file share a lock; two for different files seldom do
        self._turns = [threading.Lock() for _ in range(AT_ONCE)]

    def file(self, job: Job, format_name: str) -> Path:
        """
        A file, made first where it is not there yet.

        :param job: a job that is done
        :type job: Job
        :param format_name: one of :data:`modules.encoders.TABLE`
        :type format_name: str
        :return: the file
        :rtype: Path
        :raises modules.errors.Refusal: when it cannot be made
        """
        path = job.file(format_name)
        if not path.exists():
            with self._turns[hash((job.id, format_name)) % AT_ONCE]:
                if not path.exists():
                    self._make(job, format_name, path)
        return path

    def _make(self, job: Job, format_name: str, path: Path) -> None:
        request = replace(job.request, format = format_name)

        def make() -> None:
            (job.folder / WORKSHOP).mkdir(exist_ok = True)
            with tempfile.TemporaryDirectory(dir = job.folder / WORKSHOP) as room:
                made = Path(room) / path.name
                note = self.animator.encode(request, job.folder, made)
                settle(made)
                if note:
                    # first, because a file that is there is not made again
                    job.notes[format_name] = note
                    self.store.save(job)
                made.replace(path)

        _state, refusal = outcome(f'{format_name} of job {job.id}', make)
        if refusal:
            raise refusal if self.store.find(job.id) else errors.NotFound


class Retention:
    """
    Removes finished jobs that are too old or too many, in a thread of its own.

    :param queue: removes
    :type queue: Queue
    :param store: keeps the jobs
    :type store: Store
    :param options: how long and how much
    :type options: StoreOptions
    """

    def __init__(self, queue: Queue, store: Store, options: StoreOptions):
        self.queue = queue
        self.store = store
        self.hours = options.retention_hours
        self.max_bytes = options.max_outputs_bytes
        self._wanted = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target = self._run, name = 'retention', daemon = True)
        self._thread.start()

    def look(self) -> None:
        """Look soon: something has come."""
        self._wanted.set()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._wanted.set()
        self._thread.join(timeout = 10)

    def tidy(self) -> None:
        """Remove what is too old, then the oldest until the rest is small enough."""
        jobs = sorted(self.store.ended(), key = lambda job: job.finished)
        sizes = {job.id: size(job.folder) for job in jobs}
        total = sum(sizes.values())
        oldest = now() - timedelta(hours = self.hours)
        for job in jobs:
            is_old = self.hours and job.finished < oldest
            is_much = self.max_bytes and total > self.max_bytes
            if (is_old or is_much) and not self.store.is_read(job):
                logger.info('Job %s goes: %s', job.id, 'it is old' if is_old else 'of too many')
                self.queue.drop(job)
                total -= sizes[job.id]

    def _run(self) -> None:
        while not self._closing:
            outcome('Tidying up', self.tidy)
            self._wanted.wait(ROUND)
            self._wanted.clear()


def size(folder: Path) -> int:
    """
    What a folder holds.

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
