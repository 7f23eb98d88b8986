#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The jobs that somebody follows in this web process, kept up to date with Redis.

Libraries: Pillow.
"""

import contextlib
import io
import weakref

from PIL import Image

from modules import errors
from modules.clips.animator import PREVIEW_SIDE
from modules.jobs import lifecycle
from modules.jobs.fleet.fetcher import ResultFetcher
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.job import QUEUED, Job
from modules.jobs.record import progress_from_json


class LiveJobs:
    """
    Jobs that somebody holds just now; those that nobody holds go by themselves.

    :param ledger: knows all jobs
    :type ledger: Ledger
    :param fetcher: fetches what has ended
    :type fetcher: ResultFetcher
    """

    def __init__(self, ledger: Ledger, fetcher: ResultFetcher):
        self._ledger = ledger
        self._fetcher = fetcher
        self._store = fetcher.store
        self._jobs: weakref.WeakValueDictionary[str, Job] = weakref.WeakValueDictionary()

    def add(self, job: Job) -> None:
        """
        Keep a job up to date from now on.

        :param job: a job that Redis knows
        :type job: Job
        """
        self._jobs[job.id] = job

    def get(self, identity: str) -> Job | None:
        """
        Find a job among those that somebody holds.

        :param identity: its id
        :type identity: str
        :return: the job as it was last refreshed; None where nobody holds it
        :rtype: Job | None
        """
        return self._jobs.get(identity)

    def held(self) -> list[Job]:
        """
        List the jobs that somebody holds.

        :return: the jobs
        :rtype: list[Job]
        """
        # other threads may add some meanwhile, which ``values()`` cannot cope with
        return [job for job in (held() for held in self._jobs.valuerefs()) if job is not None]

    def find(self, identity: str) -> Job:
        """
        Find a job that was submitted anywhere and not removed.

        :param identity: its id
        :type identity: str
        :return: the job as it is now
        :rtype: Job
        :raises modules.errors.NotFound: when there is none
        :raises modules.errors.BrokerAway: when it is not in the store and Redis does not answer
        """
        if job := self._store.find(identity):
            return job
        job = self.get(identity)
        if job and job.has_ended:
            return job
        job = job or self._read(identity)
        self.refresh(job)
        return job

    def _read(self, identity: str) -> Job:
        found = self._ledger.jobs.find(identity, self._store.home / identity)
        if not found:
            raise errors.NotFound
        # until it is fetched, it has not ended for who asks here
        job = self._jobs.setdefault(identity, found[0])
        if job is found[0] and job.has_ended:
            job.state = 'running'
        return job

    def refresh(self, job: Job) -> None:
        """
        Bring a job up to date; one that has ended is fetched first.

        :param job: the job
        :type job: Job
        """
        found = self._ledger.jobs.find(job.id, job.folder)
        if not found:
            if not self._store.find(job.id) and not job.has_ended:
                lifecycle.end(job, 'cancelled')
                job.notify()
            return
        fresh, fields = found
        if fresh.has_ended:
            self._fetcher.fetch(fresh, fields)
        if not job.has_ended:
            self._update(job, fresh, fields)
            job.notify()

    def _update(self, job: Job, fresh: Job, fields: dict[str, str]) -> None:
        pictures = int(fields['pictures'])
        job.attempts, job.started = fresh.attempts, fresh.started
        if fresh.state == 'queued':
            job.progress, job.preview = QUEUED, None
        elif fresh.state == 'running':
            if pictures != job.pictures:
                job.preview = checked_preview(self._ledger.jobs.preview(job.id)) or job.preview
            job.progress = progress_from_json(fields.get('progress'))
        job.pictures = pictures
        if fresh.has_ended:
            if words := fields.get('progress'):
                # it may have come far since it was last refreshed
                with contextlib.suppress(errors.BadRecord):
                    job.progress = progress_from_json(words)
            job.model, job.notes = fresh.model, fresh.notes
            lifecycle.end(job, fresh.state, fresh.error, fresh.finished)
        else:
            job.state = fresh.state


def checked_preview(content: bytes | None) -> bytes | None:
    """
    Check the head of a preview, without decoding it.

    :param content: what a worker sent, if it sent something
    :type content: bytes | None
    :return: the same; None where it is no small JPEG
    :rtype: bytes | None
    """
    try:
        with Image.open(io.BytesIO(content or b''), formats = ['JPEG']) as picture:
            return content if max(picture.size) <= PREVIEW_SIDE else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        # Pillow's words for what is no picture
        return None
