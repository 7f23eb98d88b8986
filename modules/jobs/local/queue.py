#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The queue within this process: first come, first served, a worker thread for each device. What was accepted is in the
store, and goes on after the program was ended, however it ended.

Libraries: none.
"""

import collections
import copy
import heapq
import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from modules import errors
from modules.clips.animator import Animator, join_notes
from modules.i18n import Text
from modules.jobs.job import Job
from modules.jobs.leftovers import WORKSHOP
from modules.jobs.local.crew import Crew, kind_of
from modules.jobs.meter import Meter
from modules.jobs.pace import Pace
from modules.jobs.store import HomeInUse, Store, settle
from modules.jobs.work import PAUSE, Pauses, outcome
from modules.progress import JobControl, Progress, do_nothing
from modules.terminal import progress_bar

logger = logging.getLogger(__name__)

#: a job that the program did not survive this often is not tried again
MOST_ATTEMPTS = 2
#: seconds after which a device that leaves a job to a faster one looks again
GLANCE = 1.0


class LocalQueue:
    """
    A bounded queue and its workers.

    :param animator: does the work
    :type animator: Animator
    :param store: keeps the jobs
    :type store: Store
    :param max_waiting: jobs that may wait, the running one not counted
    :type max_waiting: int
    :param max_waiting_per_client: how many of these may be one client's; 0 is no limit
    :type max_waiting_per_client: int
    :param find_others: gives one more animator for each further device; asked on the worker, when it is idle, until
        there are some
    :type find_others: Callable[[], Sequence[Animator]]
    :param meter: counts for ``/metrics``
    :type meter: Meter | None
    :param progress_bar: show every job's progress in the terminal
    :type progress_bar: bool
    :param pause: seconds without a job after which workers do what makes later ones faster
    :type pause: float
    :raises modules.jobs.store.HomeInUse: when another process has the store
    """

    def __init__(self,
                 animator: Animator,
                 store: Store,
                 max_waiting: int,
                 *,
                 max_waiting_per_client: int = 0,
                 find_others: Callable[[], Sequence[Animator]] = tuple,
                 meter: Meter | None = None,
                 progress_bar: bool = False,
                 pause: float = PAUSE):
        self.animator = animator
        self.store = store
        self.max_waiting = max_waiting
        self.max_waiting_per_client = max_waiting_per_client
        self.meter = meter or Meter()
        self.progress_bar = progress_bar
        self.pause = pause
        self.pace = Pace()
        self._crew = Crew(self.pace)
        #: called after every job, on the worker
        self.on_end: Callable[[], None] = do_nothing
        self._waiting: collections.deque[Job] = collections.deque()
        #: in the order in which they began
        self._running: list[Job] = []
        #: ran when the program was told to end
        self._interrupted: set[Job] = set()
        #: by id: jobs that have not ended, and ended ones whose end could not be recorded
        self._live: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._started = self._closing = self._restored = False
        self._find_others = find_others
        self._pauses = Pauses()
        self.meter.watch(self.waiting, lambda: len(self._running))
        try:
            self._restore()
            # never later: then uploads are on their way, and have no row yet
            self.store.sweep()
        except errors.DiskFull:
            logger.error('Jobs are refused until %s can be written', store.home)
        self._crew.employ(animator, self._run_first)

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
            self._changed.notify_all()

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
                raise errors.QueueFull(retry_after = self._soon())
            # counted anew each time, so that no way out of the line can be forgotten
            own = sum(job.client == client for job in self._waiting) if client else 0
            if own >= self.max_waiting_per_client > 0:
                raise errors.TooManyWaiting(retry_after = self._soon())

    def _soon(self) -> int:
        """Seconds until a place becomes free, by and large."""
        return max(1, round(self.pace.guess() / max(1, len(self._crew))))

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
            if job in self._running:
                return self.pace.left(job)
            if job not in self._waiting:
                return None
            ahead = list(self._waiting)[:self._waiting.index(job) + 1]
            return self._crew.seconds_left(ahead)

    def cancel(self, job: Job) -> None:
        """
        Stop a job: at once when it waits, within one step when it runs, not at all when it has ended.

        :param job: a job that was submitted here
        :type job: Job
        """
        with self._changed:
            job.cancel()
            # now it is a person's wish, and lasts
            self._interrupted.discard(job)
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
            if job in self._running:
                # the worker removes the rest when it has let go
                return
        job.discard()

    def drop(self, job: Job) -> None:
        """
        Remove a job that has ended because it is old or one of too many.

        :param job: the job
        :type job: Job
        :raises modules.errors.DiskFull: when that cannot be recorded
        """
        self.remove(job)

    def state(self) -> str:
        """
        What ``/health`` tells.

        :return: ``STARTING``, ``READY``, ``BUSY`` or ``FAILED``
        :rtype: str
        """
        if not any(worker.is_alive() for worker in self._crew.threads):
            return 'FAILED'
        if not self._started:
            return 'STARTING'
        return 'BUSY' if self._running or self._waiting else 'READY'

    def problem(self) -> errors.Refusal | None:
        """
        Why jobs are refused.

        :return: the reason; None when all is well
        :rtype: errors.Refusal | None
        """
        if not any(worker.is_alive() for worker in self._crew.threads):
            return errors.ShuttingDown() if self._closing else errors.Unavailable()
        try:
            self.store.check()
        except errors.DiskFull as refusal:
            return refusal
        return None

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
        """Stop what runs and end the workers. What waits goes on after the next start, unless its client is gone."""
        with self._changed:
            self._closing = True
            for job in self._waiting:
                if job.is_awaited:
                    self._finish(job, 'failed', errors.ShuttingDown())
                else:
                    job.notify()
            self._waiting.clear()
            for job in self._running:
                self._interrupt(job)
            self._record_ends()
            self._changed.notify_all()
            workers = self._crew.threads
        patience = time.monotonic() + 10
        for worker in workers:
            self._pauses.join(worker, patience)

    def _interrupt(self, job: Job) -> None:
        """The program ends while a job runs."""
        if job.is_unwanted:
            return
        self._interrupted.add(job)
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
        self._changed.notify_all()

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

    def _run_first(self, animator: Animator) -> None:
        # failing here fails no job: an engine that can work later is asked again by the job that wants it
        _state, refusal = outcome('Loading', animator.load)
        if refusal:
            logger.warning('No engine is ready yet: %s', refusal)
        self._started = True
        self._look_for_others()
        self._work(animator)

    def _look_for_others(self) -> None:
        """The library that knows the devices comes with the engine, which may be loaded by a job only."""
        if len(self._crew) > 1 or self._closing:
            return
        others = self._find_others()
        with self._changed:
            for other in others:
                self._crew.employ(other, self._run_other)

    def _run_other(self, animator: Animator) -> None:
        _state, refusal = outcome('Loading', animator.load)
        if refusal is None:
            refusal = self._work(animator, is_first = False)
        if refusal:
            # it would only fail jobs that the first one can do
            logger.warning('A further device takes no jobs: %s', refusal)
            with self._changed:
                self._crew.dismiss(animator)
                self._changed.notify_all()

    def _work(self,
              animator: Animator,
              *,
              is_first: bool = True) -> errors.EngineUnavailable | None:
        """Work until the program ends, or the engine of a further device has become unable to."""
        while job := self._next(animator):
            self.pace.begin(kind_of(job), job, animator)
            state, refusal = outcome(
                f'Job {job.id}', lambda job = job: self._animate(animator, job))
            self._observe(job, self.pace.end(state == 'done', job))
            with self._changed:
                self._crew.end(animator)
                if not self._put_back(animator, job, refusal):
                    self._end(job, state, refusal)
                # who sees that nothing runs finds the end recorded and counted
                self._running.remove(job)
                self._tell_line()
                self._changed.notify_all()
            self.on_end()
            if is_first:
                self._look_for_others()
            elif isinstance(refusal, errors.EngineUnavailable):
                return refusal
        return None

    def _put_back(self, animator: Animator, job: Job, refusal: errors.Refusal | None) -> bool:
        """Let another device do a job whose engine does not work on this one; False where that is not to be."""
        is_wanted = job.id in self._live and not job.is_unwanted and not self._closing
        if not isinstance(refusal, errors.EngineUnavailable) or not is_wanted:
            return False
        if not self._crew.others_can(animator, job):
            return False
        job.put_back()
        self._save(job)
        self._waiting.appendleft(job)
        return True

    def _prepare(self, animator: Animator) -> None:
        """Use time in which nobody waits for what makes later jobs faster."""

        def stop_if_wanted() -> None:
            if self._waiting or self._closing:
                raise errors.Cancelled

        self._pauses.use(lambda: animator.prepare(stop_if_wanted))

    def _next(self, animator: Animator) -> Job | None:
        """The job whose turn it is; None when the program ends."""
        idle_since = time.monotonic()
        while True:
            with self._changed:
                if self._closing:
                    return None
                if job := self._crew.next_for(animator, self._waiting):
                    return self._begin(animator, job)
                # who leaves a job to a faster one looks again whether it is as fast as it was thought to be
                rest = idle_since + self.pause - time.monotonic()
                is_over = not self._waiting and rest <= 0
                if not is_over:
                    self._changed.wait(GLANCE if self._waiting else rest)
            if is_over:
                self._prepare(animator)
                idle_since = time.monotonic()

    def _begin(self, animator: Animator, job: Job) -> Job:
        self._waiting.remove(job)
        self._running.append(job)
        self._crew.begin(animator, job)
        job.begin()
        self._save(job)
        job.notify()
        self._tell_line()
        return job

    def _animate(self, animator: Animator, job: Job) -> None:
        """Make the clip, with another engine where the one that the program chose has become unable to work."""
        try:
            return self._make(animator, job)
        except errors.EngineUnavailable as refusal:
            with self._changed:
                if self._crew.others_can(animator, job):
                    raise
            job.request, note = animator.redirected(job.request, refusal)
        logger.warning('Job %s is done by the engine %s instead', job.id, job.request.engine)
        self.pace.begin(kind_of(job), job, animator)
        return self._make(animator, job, note)

    def _make(self, animator: Animator, job: Job, *notes: Text) -> None:
        """Make the clip in a corner of the job's folder, and put it in its place when it is whole."""
        if not job.upload.exists():
            raise errors.PhotoGone
        workshop = job.folder / WORKSHOP
        shutil.rmtree(workshop, ignore_errors = True)
        workshop.mkdir()
        path = workshop / job.file(job.request.format).name
        with progress_bar(job.request.stem, self.progress_bar) as show:

            def report(progress: Progress) -> None:
                self._observe(job, self.pace.note(progress, job))
                job.tell(progress)
                show(progress)

            made = animator.animate(
                job.request,
                path,
                JobControl(report, job.stop_if_cancelled),
                created = job.created,
                keep = workshop)
        if note := join_notes(*notes, made.note):
            job.notes[job.request.format] = note
        job.model = made.model
        put_in_place(workshop, job.folder)

    def _end(self, job: Job, state: str, refusal: errors.Refusal | None) -> None:
        """The worker has let go of a job."""
        shutil.rmtree(job.folder / WORKSHOP, ignore_errors = True)
        if job.id not in self._live:
            # removed while it ran
            job.end_as('cancelled')
            job.notify()
            job.discard()
        elif state == 'cancelled' and job in self._interrupted and not job.is_awaited:
            job.put_back()
            self._save(job)
        elif state == 'cancelled' and job in self._interrupted:
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


def until_done(left: list[float], workers: int, waiting: list[float]) -> float:
    """
    When the last of some waiting jobs will be done, if whoever is free takes the next.

    :param left: seconds that the running jobs still take
    :type left: list[float]
    :param workers: how many there are, those that run included
    :type workers: int
    :param waiting: seconds that each waiting job will take, in the order of the line; at least one
    :type waiting: list[float]
    :return: seconds
    :rtype: float
    """
    free = left + [0.0] * max(0, workers - len(left))
    heapq.heapify(free)
    for seconds in waiting:
        done = heapq.heappop(free) + seconds
        heapq.heappush(free, done)
    return done


def put_in_place(workshop: Path, folder: Path) -> None:
    """
    Move finished files where they are looked for; on return they outlive a crash.

    :param workshop: where they were made
    :type workshop: Path
    :param folder: where they are looked for
    :type folder: Path
    """
    for path in workshop.iterdir():
        if path.is_file():
            settle(path)
            path.replace(folder / path.name)
    settle(folder)
