#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The queue within this process: first come, first served, one worker thread for each device.

Libraries: none.
"""

import collections
import logging
import threading
import time
from collections.abc import Callable

from modules import errors
from modules.animation import Animator
from modules.engines import Progress
from modules.jobs import Job
from modules.terminal import progress_bar

logger = logging.getLogger(__name__)


class LocalQueue:
    """
    A bounded queue and its worker.

    :param animator: does the work
    :type animator: Animator
    :param max_waiting: jobs that may wait, the running one not counted
    :type max_waiting: int
    :param progress_bar: show every job's progress in the terminal
    :type progress_bar: bool
    """

    def __init__(self, animator: Animator, max_waiting: int, *, progress_bar: bool = False):
        self.animator = animator
        self.max_waiting = max_waiting
        self.progress_bar = progress_bar
        self._waiting: collections.deque[Job] = collections.deque()
        self._running: Job | None = None
        self._changed = threading.Condition()
        self._started = False
        self._closing = False
        self._seconds_per_job = 20.0
        self._worker = threading.Thread(target = self._run, name = 'worker', daemon = True)
        self._worker.start()

    def submit(self, job: Job) -> None:
        """
        Accept a job.

        :param job: a job in state ``queued``
        :type job: Job
        :raises modules.errors.QueueFull: when too many wait
        :raises modules.errors.ShuttingDown: when the program ends
        """
        with self._changed:
            if self._closing:
                raise errors.ShuttingDown
            if len(self._waiting) >= self.max_waiting:
                raise errors.QueueFull(retry_after = max(1, round(self._seconds_per_job)))
            self._waiting.append(job)
            self._changed.notify()

    def cancel(self, job: Job) -> None:
        """
        Stop a job: at once when it waits, within one step when it runs, not at all when it has ended.

        :param job: a job that was submitted here
        :type job: Job
        """
        with self._changed:
            job.cancel()
            if job in self._waiting:
                self._waiting.remove(job)
                job.finish('cancelled')

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

    def close(self) -> None:
        """Fail what waits, stop what runs, and end the worker."""
        with self._changed:
            self._closing = True
            for job in self._waiting:
                job.finish('failed', errors.ShuttingDown())
            self._waiting.clear()
            if self._running:
                self._running.cancel()
            self._changed.notify()
        self._worker.join(timeout = 10)

    def _run(self) -> None:
        # failing here fails no job: an engine that can work later is asked again by the job that wants it
        _state, refusal = self._outcome('Loading', self.animator.load)
        if refusal:
            logger.warning('No engine is ready yet: %s', refusal)
        self._started = True
        while job := self._next():
            started = time.monotonic()
            job.finish(*self._outcome(f'Job {job.id}', lambda job = job: self._animate(job)))
            with self._changed:
                self._running = None
            self._seconds_per_job += 0.3 * (time.monotonic() - started - self._seconds_per_job)

    def _next(self) -> Job | None:
        """The job whose turn it is; None when the program ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if self._closing:
                return None
            self._running = self._waiting.popleft()
            self._running.state = 'running'
            return self._running

    def _animate(self, job: Job) -> None:
        with progress_bar(job.request.stem, self.progress_bar) as show:

            def on_progress(progress: Progress) -> None:
                job.progress = progress
                show(progress)

            self.animator.animate(job.request, job.result, on_progress, job.stop_if_cancelled)

    def _outcome(self, name: str, work: Callable[[], None]) -> tuple[str, errors.Refusal | None]:
        """Do some work; whatever happens, it ends and the worker goes on."""
        try:
            work()
        except errors.Cancelled:
            return ('failed', errors.ShuttingDown()) if self._closing else ('cancelled', None)
        except errors.Refusal as refusal:
            return 'failed', refusal
        except MemoryError:
            logger.exception('%s ran out of memory', name)
            return 'failed', errors.OutOfMemory()
        except OSError as error:
            logger.exception('%s failed', name)
            is_disk = error.errno in errors.DISK_ERRORS
            return 'failed', errors.DiskFull() if is_disk else errors.EngineFailed()
        except Exception:  # noqa: BLE001
            logger.exception('%s failed', name)
            return 'failed', errors.EngineFailed()
        return 'done', None
