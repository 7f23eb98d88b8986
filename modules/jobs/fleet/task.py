#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
One attempt at one job, on a worker, and what is written to Redis about it. Attempts have numbers, and only the one that
began last counts.

Libraries: none here.
"""

import contextlib
import json
import logging
import threading
import time

from modules import errors
from modules.clips.animator import Animator, preview_jpeg
from modules.jobs import lifecycle
from modules.jobs.fleet.connection import Connection
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.fleet.records import MOST_BYTES
from modules.jobs.fleet.scripts import KEPT_SECONDS
from modules.jobs.job import Job
from modules.jobs.record import job_to_json
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

    :param ledger: knows the job
    :type ledger: Ledger
    :param closing: set when the worker ends
    :type closing: threading.Event
    :param job: the job; its folder is this attempt's alone
    :type job: Job
    :param attempt: the number of the attempt
    :type attempt: int
    """

    def __init__(self, ledger: Ledger, closing: threading.Event, job: Job, attempt: int):
        self.job = job
        self._ledger = ledger
        self._closing = closing
        self._attempt = attempt
        self._previewed = 0.0

    def begin(self) -> bool:
        """
        Begin the attempt; from then on only this one counts.

        :return: whether it may begin; another one may have begun or ended the job
        :rtype: bool
        """
        return self._run('begin', self._attempt - 1, job_to_json(self.job))

    def _run(self, script: str, *arguments: bytes | str | int) -> bool:
        return bool(self._ledger.connection.run_script(script, self.job.id, *arguments))

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
        return self._run('report', self._attempt, '', b'')

    def put_back(self) -> None:
        """Give the job back to the line, as if it had not been begun."""
        lifecycle.put_back(self.job)
        self._run('hand_back', self._attempt, job_to_json(self.job))

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
                if not self._finish(files):
                    logger.warning('Job %s was given to another worker meanwhile', self.job.id)
                return
            except errors.BrokerAway as error:
                if self._closing.wait(AGAIN):
                    raise
                tries += _is_not_taken(error, self._ledger.connection)
            if files and tries >= MOST_DELIVERIES:
                # some brokers have limits of their own
                size = sum(len(content) for content in files.values())
                logger.error('The broker does not take the %d bytes of job %s', size, self.job.id)
                lifecycle.end(self.job, 'failed', errors.ResultTooLarge(limit = size // 1_000_000))
                files = {}

    def _finish(self, files: dict[str, bytes]) -> bool:
        """Record the end; whether that was taken: not where the attempt no longer counts."""
        if files:
            key = f'tlp:files:{self.job.id}:{self._attempt}'
            with self._ledger.connection.reach() as client, client.pipeline() as together:
                together.hset(key, mapping = files)
                together.expire(key, KEPT_SECONDS)
                together.execute()
        return self._run('finish', self._attempt, self.job.state, job_to_json(self.job))

    def _watch(self, has_ended: threading.Event) -> None:
        """Stop the engine when the job is cancelled, given to another worker, or the program ends."""
        while not has_ended.wait(GLANCE):
            with contextlib.suppress(errors.BrokerAway, errors.BadRecord):
                if self._closing.is_set() or not self.is_wanted():
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
        words, preview = json.dumps([progress.phase, progress.step, progress.steps]), b''
        if progress.picture is not None and time.monotonic() - self._previewed >= PREVIEWS:
            self._previewed = time.monotonic()
            preview = preview_jpeg(progress.picture)
        # what cannot be written now is written with the next step
        with contextlib.suppress(errors.BrokerAway):
            if not self._run('report', self._attempt, words, preview):
                self.job.cancellation.set()

    def _photo(self) -> bytes:
        """Read the upload; a broker that is away is no fault of the job's."""
        while True:
            try:
                photo = self._ledger.jobs.photo(self.job.id)
            except errors.BrokerAway:
                lifecycle.stop_if_cancelled(self.job)
                self._closing.wait(AGAIN)
                continue
            if photo is None:
                raise errors.PhotoGone
            return photo


def _is_not_taken(error: errors.BrokerAway, connection: Connection) -> bool:
    """Tell whether the broker answers all the same, and there may not be memory later."""
    if isinstance(error, errors.BrokerRefuses):
        return False
    with contextlib.suppress(errors.BrokerAway):
        connection.probe()
        return True
    return False


def _read_files(job: Job) -> dict[str, bytes]:
    names = delivered_names(job.request.format)
    made = [job.folder / name for name in names if (job.folder / name).is_file()]
    if sum(path.stat().st_size for path in made) > MOST_BYTES:
        raise errors.ResultTooLarge(limit = MOST_BYTES // 1_000_000)
    return {path.name: path.read_bytes() for path in made}
