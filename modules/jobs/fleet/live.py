#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The jobs that somebody follows in this web process, kept up to date with Redis until they have ended; then their files
come into its store.

Libraries: Pillow.
"""

import contextlib
import io
import logging
import shutil
import threading
import weakref
from collections.abc import Callable

from PIL import Image

from modules import errors
from modules.clips.animator import PREVIEW_SIDE
from modules.jobs import lifecycle
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.job import QUEUED, Job, link_id
from modules.jobs.leftovers import UNFINISHED, remove_folder
from modules.jobs.record import progress_from_json
from modules.jobs.results import delivered_names, move_results
from modules.jobs.store import Store

logger = logging.getLogger(__name__)


class LiveJobs:
    """
    Jobs that somebody holds just now; those that nobody holds go by themselves.

    :param ledger: knows all jobs
    :type ledger: Ledger
    :param store: gets what has ended
    :type store: Store
    :param on_fetched: called with each job that was fetched
    :type on_fetched: Callable[[Job], None]
    """

    def __init__(self, ledger: Ledger, store: Store, on_fetched: Callable[[Job], None]):
        self.store = store
        self._ledger = ledger
        self._on_fetched = on_fetched
        self._jobs: weakref.WeakValueDictionary[str, Job] = weakref.WeakValueDictionary()
        #: results are fetched one at a time
        self._lock = threading.RLock()

    def add(self, job: Job) -> None:
        """
        Keep a job up to date from now on.

        :param job: a job that Redis knows
        :type job: Job
        """
        self._jobs[job.id] = job

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
        Find a job; see :meth:`modules.jobs.contract.Queue.find`.

        :param identity: its id
        :type identity: str
        :return: the job as it is now
        :rtype: Job
        """
        if job := self.store.find(identity):
            return job
        job = self._jobs.get(identity)
        if job and job.has_ended:
            return job
        job = job or self._read(identity)
        self.refresh(job)
        return job

    def find_by_link(self, link: str) -> Job | None:
        """
        Find a job by the id that others have of its clip; this process may not have fetched it yet.

        :param link: from :func:`modules.jobs.job.link_id`, or anything else a stranger may have sent
        :type link: str
        :return: the job as it is now, or None
        :rtype: Job | None
        """
        if job := self.store.find_by_link(link):
            return job
        ended = (identity for identity, _moment in self._ledger.jobs.ended_since(0))
        identity = next((each for each in ended if link_id(each) == link), None)
        return self.find(identity) if identity else None

    def _read(self, identity: str) -> Job:
        found = self._ledger.jobs.find(identity, self.store.home / identity)
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
            if not self.store.find(job.id) and not job.has_ended:
                lifecycle.end(job, 'cancelled')
                job.notify()
            return
        fresh, fields = found
        if fresh.has_ended:
            self._fetch(fresh, fields)
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
                job.preview = _small_jpeg(self._ledger.jobs.preview(job.id)) or job.preview
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

    def handle_end(self, identity: str) -> None:
        """
        Fetch a job that has ended anywhere; drop one that was removed anywhere.

        :param identity: its id
        :type identity: str
        :raises modules.errors.DiskFull: when that cannot be recorded
        :raises OSError: when a file cannot be written
        """
        if self._ledger.jobs.is_removed(identity):
            if job := self.store.find(identity):
                self.drop(job)
        elif job := self._jobs.get(identity):
            self.refresh(job)
        elif found := self._ledger.jobs.find(identity, self.store.home / identity):
            self._fetch(*found)

    def _fetch(self, job: Job, fields: dict[str, str]) -> None:
        """Put a job that has ended into the store, unless it is there."""
        with self._lock:
            if self.store.find(job.id):
                return
            scratch = job.folder / UNFINISHED
            shutil.rmtree(scratch, ignore_errors = True)
            scratch.mkdir(parents = True)
            files = self._files(job, fields)
            if photo := self._ledger.jobs.photo(job.id):
                files['upload'] = photo
            for name, content in files.items():
                (scratch / name).write_bytes(content)
            move_results(scratch, job.folder)
            self.store.add(job)
        self._on_fetched(job)

    def drop(self, job: Job) -> None:
        """
        Remove from the store and the disk what was fetched of a job.

        :param job: the job
        :type job: Job
        :raises modules.errors.DiskFull: when that cannot be recorded
        """
        with self._lock:
            self.store.remove(job)
            remove_folder(job.folder)

    def _files(self, job: Job, fields: dict[str, str]) -> dict[str, bytes]:
        """Read what was delivered; where that cannot be kept, the job has failed."""
        names = delivered_names(job.request.format)
        try:
            files = self._ledger.jobs.files(job.id, fields.get('files', '0'), names)
        except errors.ResultTooLarge as refusal:
            lifecycle.end(job, 'failed', refusal)
            return {}
        if job.state == 'done' and names[0] not in files:
            logger.error('The files of job %s are gone', job.id)
            lifecycle.end(job, 'failed', errors.EngineFailed())
        return files


def _small_jpeg(content: bytes | None) -> bytes | None:
    """Take a preview for one by its head, without decoding it; None where it is no small JPEG."""
    try:
        with Image.open(io.BytesIO(content or b''), formats = ['JPEG']) as picture:
            return content if max(picture.size) <= PREVIEW_SIDE else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        # Pillow's words for what is no picture
        return None
