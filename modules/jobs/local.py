#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The queue within this process: first come, first served, one worker thread. What was accepted is in the store, and goes
on after the program was ended, however it ended.

Libraries: none.
"""

import collections
import copy
import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from modules import errors
from modules.animation import MADE, Animator, Made
from modules.engines import Progress
from modules.jobs import Job
from modules.jobs.meter import Meter
from modules.jobs.pace import Pace
from modules.jobs.store import WORKSHOP, HomeInUse, Store, settle
from modules.jobs.work import outcome
from modules.terminal import progress_bar

logger = logging.getLogger(__name__)

#: a job that the program did not survive this often is not tried again
MOST_ATTEMPTS = 2


class LocalQueue:
    """
    A bounded queue and its worker.

    :param animator: does the work
    :type animator: Animator
    :param store: keeps the jobs
    :type store: Store
    :param max_waiting: jobs that may wait, the running one not counted
    :type max_waiting: int
    :param max_waiting_per_client: how many of these may be one client's; 0 is no limit
    :type max_waiting_per_client: int
    :param meter: counts for ``/metrics``
    :type meter: Meter | None
    :param progress_bar: show every job's progress in the terminal
    :type progress_bar: bool
    :raises modules.jobs.store.HomeInUse: when another process has the store
    """

    def __init__(self,
                 animator: Animator,
                 store: Store,
                 max_waiting: int,
                 *,
                 max_waiting_per_client: int = 0,
                 meter: Meter | None = None,
                 progress_bar: bool = False):
        self.animator = animator
        self.store = store
        self.max_waiting = max_waiting
        self.max_waiting_per_client = max_waiting_per_client
        self.meter = meter or Meter()
        self.progress_bar = progress_bar
        self.pace = Pace()
        #: called after every job, on the worker
        self.on_end: Callable[[], None] = bool
        self._waiting: collections.deque[Job] = collections.deque()
        self._running: Job | None = None
        #: ran when the program was told to end
        self._interrupted: Job | None = None
        #: by id: jobs that have not ended, and ended ones whose end could not be recorded
        self._live: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._started = self._closing = self._restored = False
        self.meter.watch(self.waiting, lambda: int(self._running is not None))
        try:
            self._restore()
            # never later: then uploads are on their way, and have no row yet
            self.store.sweep()
        except errors.DiskFull:
            logger.error('Jobs are refused until %s can be written', store.home)
        self._worker = threading.Thread(target = self._run, name = 'worker', daemon = True)
        self._worker.start()

    def submit(self, job: Job) -> None:
        """
        Accept a job: once this returns, it is not lost.

        :param job: a job in state ``queued``, whose upload is on the disk
        :type job: Job
        :raises modules.errors.QueueFull: when too many wait
        :raises modules.errors.TooManyWaiting: when too many of its client wait
        :raises modules.errors.DiskFull: when it cannot be recorded
        :raises modules.errors.ShuttingDown: when the program ends
        """
        with self._changed:
            self.check_room(job.client)
            self._catch_up()
            self.store.add(job)
            self._record_ends()
            self._live[job.id] = job
            self._waiting.append(job)
            self._changed.notify()

    def check_room(self, client: str = '') -> None:
        """
        Tell early whether a job would be accepted.

        :param client: whose it is; empty for one without a limit of its own
        :type client: str
        :raises modules.errors.QueueFull: when too many wait
        :raises modules.errors.TooManyWaiting: when too many of this client wait
        :raises modules.errors.ShuttingDown: when the program ends
        """
        with self._changed:
            if self._closing:
                raise errors.ShuttingDown
            if len(self._waiting) >= self.max_waiting:
                raise errors.QueueFull(retry_after = max(1, round(self.pace.guess())))
            # counted anew each time, so that no way out of the line can be forgotten
            own = sum(job.client == client for job in self._waiting) if client else 0
            if own >= self.max_waiting_per_client > 0:
                raise errors.TooManyWaiting(retry_after = max(1, round(self.pace.guess())))

    def find(self, identity: str) -> Job:
        """
        A job that was submitted and not removed, at whatever time.

        :param identity: its id
        :type identity: str
        :return: the job
        :rtype: Job
        :raises modules.errors.NotFound: when there is none
        :raises modules.errors.DiskFull: while the jobs of an earlier run cannot be looked for
        """
        if not self._restored:
            with self._changed:
                self._catch_up()
        job = self._live.get(identity) or self.store.find(identity)
        if not job:
            raise errors.NotFound
        return job

    def position(self, job: Job) -> int | None:
        """
        Its place in the line.

        :param job: a job
        :type job: Job
        :return: 1 for the next; None when it does not wait
        :rtype: int | None
        """
        with self._changed:
            return self._waiting.index(job) + 1 if job in self._waiting else None

    def seconds_left(self, job: Job) -> float | None:
        """
        How long until it is done, learnt from the jobs before.

        :param job: a job
        :type job: Job
        :return: seconds; None when nothing is known yet, or it has ended
        :rtype: float | None
        """
        with self._changed:
            if job is self._running:
                return self.pace.left()
            if job not in self._waiting:
                return None
            ahead = list(self._waiting)[:self._waiting.index(job) + 1]
            parts = [self.pace.whole(each.request.engine) for each in ahead]
            if self._running:
                parts.append(self.pace.left())
            return None if None in parts else sum(parts)

    def cancel(self, job: Job) -> None:
        """
        Stop a job: at once when it waits, within one step when it runs, not at all when it has ended.

        :param job: a job that was submitted here
        :type job: Job
        """
        with self._changed:
            job.cancel()
            if job is self._interrupted:
                # now it is a person's wish, and lasts
                self._interrupted = None
            if job in self._waiting:
                self._waiting.remove(job)
                self._finish(job, 'cancelled')
                self._tell_line()

    def remove(self, job: Job) -> None:
        """
        Forget a job and remove its files; stops it where needed.

        :param job: a job that was submitted here
        :type job: Job
        :raises modules.errors.DiskFull: when that cannot be recorded
        """
        with self._changed:
            self.store.remove(job)
            self.cancel(job)
            self._live.pop(job.id, None)
            if job is self._running:
                # the worker removes the rest when it has let go
                return
        job.discard()

    def state(self) -> str:
        """
        What ``/health`` tells.

        :return: ``STARTING``, ``READY``, ``BUSY`` or ``FAILED``
        :rtype: str
        """
        if not self._worker.is_alive():
            return 'FAILED'
        if not self._started:
            return 'STARTING'
        return 'BUSY' if self._running or self._waiting else 'READY'

    def waiting(self) -> int:
        """
        How many jobs wait.

        :return: their number, running ones not counted
        :rtype: int
        """
        return len(self._waiting)

    @property
    def is_closing(self) -> bool:
        """Whether the program ends."""
        return self._closing

    def close(self) -> None:
        """Stop what runs and end the worker. What waits goes on after the next start, unless its client is gone."""
        with self._changed:
            self._closing = True
            for job in self._waiting:
                if job.is_awaited:
                    self._finish(job, 'failed', errors.ShuttingDown())
                else:
                    job.notify()
            self._waiting.clear()
            self._interrupt()
            self._record_ends()
            self._changed.notify()
        self._worker.join(timeout = 10)

    def _interrupt(self) -> None:
        """The program ends while a job runs."""
        if not self._running or self._running.is_unwanted:
            return
        job = self._interrupted = self._running
        if not job.is_awaited:
            # before it lets go, which may take longer than the program has: it is not the job that ends the program
            waiting = copy.copy(job)
            waiting.put_back()
            self._save(waiting)
        job.cancel()

    def _catch_up(self) -> None:
        """Restore what could not be restored at the start."""
        try:
            self._restore()
        except HomeInUse as error:
            raise errors.DiskFull from error
        self._changed.notify()

    def _restore(self) -> None:
        """Stand jobs of an earlier run in line."""
        if self._restored:
            return
        self.store.open()
        jobs = self.store.unfinished()
        # first, because this may fail, and then all of it is tried again
        for job in jobs:
            if job.is_awaited:
                self.store.remove(job)
                job.discard()
        for job in jobs:
            if job.is_awaited:
                continue
            if job.attempts >= MOST_ATTEMPTS:
                logger.error('Job %s has ended the program twice and is given up', job.id)
                self._finish(job, 'failed', errors.Crashed())
            else:
                job.state, job.started = 'queued', None
                self._live[job.id] = job
                self._waiting.append(job)
        self._restored = True

    def _run(self) -> None:
        # failing here fails no job: an engine that can work later is asked again by the job that wants it
        _state, refusal = outcome('Loading', self.animator.load)
        if refusal:
            logger.warning('No engine is ready yet: %s', refusal)
        self._started = True
        while job := self._next():
            self.pace.begin(job.request.engine)
            state, refusal = outcome(f'Job {job.id}', lambda job = job: self._animate(job))
            self._observe(job, self.pace.end(state == 'done'))
            with self._changed:
                self._end(job, state, refusal)
                self._running = None
                self._tell_line()
            self.on_end()

    def _next(self) -> Job | None:
        """The job whose turn it is; None when the program ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if self._closing:
                return None
            job = self._running = self._waiting.popleft()
            job.begin()
            self._save(job)
            job.notify()
            self._tell_line()
            return job

    def _animate(self, job: Job) -> None:
        """Make the clip in a corner of the job's folder, and put it in its place when it is whole."""
        if not job.upload.exists():
            raise errors.PhotoGone
        workshop = job.folder / WORKSHOP
        shutil.rmtree(workshop, ignore_errors = True)
        workshop.mkdir()
        path = workshop / job.file(job.request.format).name
        with progress_bar(job.request.stem, self.progress_bar) as show:

            def on_progress(progress: Progress) -> None:
                self._observe(job, self.pace.note(progress))
                job.tell(progress)
                show(progress)

            note = self.animator.animate(
                job.request,
                path,
                on_progress,
                job.stop_if_cancelled,
                created = job.created,
                keep = workshop)
        if note:
            job.notes[job.request.format] = note
        job.model = Made.read(workshop / MADE).model
        _put_in_place(workshop, job.folder)

    def _end(self, job: Job, state: str, refusal: errors.Refusal | None) -> None:
        """The worker has let go of a job."""
        shutil.rmtree(job.folder / WORKSHOP, ignore_errors = True)
        if job.id not in self._live:
            # removed while it ran
            job.end_as('cancelled')
            job.notify()
            job.discard()
        elif state == 'cancelled' and job is self._interrupted and not job.is_awaited:
            job.put_back()
            self._save(job)
        elif state == 'cancelled' and job is self._interrupted:
            self._finish(job, 'failed', errors.ShuttingDown())
        else:
            self._finish(job, state, refusal)

    def _finish(self, job: Job, state: str, error: errors.Refusal | None = None) -> None:
        # who waits for the end may restart the program at once, so it is recorded first
        ended = copy.copy(job)
        ended.end_as(state, error)
        if self._save(ended):
            self._live.pop(job.id, None)
        else:
            self._live[job.id] = job
        job.end_as(state, error)
        job.notify()
        self.meter.count_job(job)

    def _save(self, job: Job) -> bool:
        """Record a job; where that cannot be done, it goes on all the same, and a restart would begin it anew."""
        try:
            self.store.save(job)
        except errors.DiskFull:
            return False
        return True

    def _record_ends(self) -> None:
        """Record what could not be recorded when it came to pass."""
        for job in [job for job in self._live.values() if job.has_ended]:
            if self._save(job):
                del self._live[job.id]

    def _observe(self, job: Job, ended: tuple[str, float] | None) -> None:
        if ended:
            self.meter.count_phase(job.request.engine, *ended)

    def _tell_line(self) -> None:
        """Everybody's place has changed."""
        for job in self._waiting:
            job.notify()


def _put_in_place(workshop: Path, folder: Path) -> None:
    """Move finished files where they are looked for; on return they outlive a crash."""
    for path in workshop.iterdir():
        if path.is_file():
            settle(path)
            path.replace(folder / path.name)
    settle(folder)
