#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
One attempt at one job, on a worker.

Libraries: none here.
"""

import contextlib
import logging
import threading
import time

from modules import errors
from modules.clips.animator import Animator, preview_jpeg
from modules.jobs import lifecycle
from modules.jobs.fleet.records import MOST_BYTES
from modules.jobs.fleet.shift import Shift
from modules.jobs.job import Job
from modules.jobs.results import delivered_names
from modules.jobs.work import run_guarded
from modules.progress import JobControl, Progress

logger = logging.getLogger(__name__)

#: seconds between two previews, and between two looks at whether a job is still wanted
PREVIEWS, GLANCE = 0.5, 0.5
#: seconds between two tries to reach a broker that is away
AGAIN = 0.5
#: tries to deliver to a broker that answers, and does not take a result
MOST_DELIVERIES = 5


class Task:
    """
    A job at work.

    :param shift: the run of the worker
    :type shift: Shift
    :param job: the job; its folder is this attempt's alone
    :type job: Job
    :param attempt: the number of the attempt, which has begun
    :type attempt: int
    """

    def __init__(self, shift: Shift, job: Job, attempt: int):
        self.job = job
        self.attempt = attempt
        self._shift = shift
        self._ledger = shift.ledger
        self._previewed = 0.0

    def animate(self, animator: Animator) -> tuple[str, errors.Refusal | None, dict[str, bytes]]:
        """
        Make the clip.

        :param animator: does the work
        :type animator: Animator
        :return: ``done``, ``cancelled`` or ``failed``, why it failed, and the files: name → content
        :rtype: tuple[str, errors.Refusal | None, dict[str, bytes]]
        """
        has_ended = threading.Event()
        watch = threading.Thread(target = self._watch, args = (has_ended, ), daemon = True)
        watch.start()
        files: dict[str, bytes] = {}

        def work() -> None:
            self._animate(animator)
            files.update(_read_files(self.job))

        state, refusal = run_guarded(f'Job {self.job.id}', work)
        has_ended.set()
        watch.join()
        return state, refusal, files

    def is_wanted(self) -> bool:
        """
        Ask whether somebody still wants this attempt.

        :return: not after the job was cancelled, removed or given to another worker
        :rtype: bool
        """
        return self._ledger.attempts.report(self.job.id, self.attempt)

    def put_back(self) -> None:
        """Give the job back to the line, as if it had not been begun."""
        lifecycle.put_back(self.job)
        self._ledger.attempts.hand_back(self.job, self.attempt)

    def deliver(self, files: dict[str, bytes]) -> None:
        """
        Deliver; again and again while the broker is away.

        :param files: name → content
        :type files: dict[str, bytes]
        :raises modules.errors.BrokerAway: when it still is and the worker ends
        """
        tries = 0
        while True:
            try:
                if not self._ledger.attempts.finish(self.job, self.attempt, files):
                    logger.warning('Job %s was given to another worker meanwhile', self.job.id)
                return
            except errors.BrokerAway as error:
                if self._shift.closing.wait(AGAIN):
                    raise
                tries += self._is_not_taken(error)
            if files and tries >= MOST_DELIVERIES:
                # some brokers have limits of their own
                size = sum(len(content) for content in files.values())
                logger.error('The broker does not take the %d bytes of job %s', size, self.job.id)
                lifecycle.end(self.job, 'failed', errors.ResultTooLarge(limit = size // 1_000_000))
                files = {}

    def _is_not_taken(self, error: errors.BrokerAway) -> bool:
        """Tell whether the broker answers all the same, and there may not be memory later."""
        if isinstance(error, errors.BrokerRefuses):
            return False
        with contextlib.suppress(errors.BrokerAway):
            self._ledger.connection.probe()
            return True
        return False

    def _watch(self, has_ended: threading.Event) -> None:
        """Stop the engine when the job is cancelled, given to another worker, or the program ends."""
        while not has_ended.wait(GLANCE):
            with contextlib.suppress(errors.BrokerAway, errors.BadRecord):
                if self._shift.closing.is_set() or not self.is_wanted():
                    self.job.cancellation.set()
                    return

    def _animate(self, animator: Animator) -> None:
        job = self.job
        job.folder.mkdir()
        job.upload.write_bytes(self._photo())
        made = animator.animate(
            job.request,
            job.file(job.request.format),
            JobControl(self._report, lambda: lifecycle.stop_if_cancelled(job)),
            created = job.created,
            keep = job.folder)
        if made.note:
            job.notes[job.request.format] = made.note
        job.model = made.model

    def _report(self, progress: Progress) -> None:
        preview = b''
        if progress.picture is not None and time.monotonic() - self._previewed >= PREVIEWS:
            self._previewed = time.monotonic()
            preview = preview_jpeg(progress.picture)
        # what cannot be written now is written with the next step
        with contextlib.suppress(errors.BrokerAway):
            if not self._ledger.attempts.report(self.job.id, self.attempt, progress, preview):
                self.job.cancellation.set()

    def _photo(self) -> bytes:
        """Read the upload; a broker that is away is no fault of the job's."""
        while True:
            try:
                photo = self._ledger.jobs.photo(self.job.id)
            except errors.BrokerAway:
                lifecycle.stop_if_cancelled(self.job)
                self._shift.closing.wait(AGAIN)
                continue
            if photo is None:
                raise errors.PhotoGone
            return photo


def _read_files(job: Job) -> dict[str, bytes]:
    names = delivered_names(job.request.format)
    made = [job.folder / name for name in names if (job.folder / name).is_file()]
    if sum(path.stat().st_size for path in made) > MOST_BYTES:
        raise errors.ResultTooLarge(limit = MOST_BYTES // 1_000_000)
    return {path.name: path.read_bytes() for path in made}
