#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How the files of a job that has ended come from Redis into the store of this web process.

Libraries: none.
"""

import logging
import shutil
import threading
from collections.abc import Callable

from modules import errors
from modules.jobs import lifecycle
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.job import Job
from modules.jobs.leftovers import UNFINISHED
from modules.jobs.results import delivered_names, move_results
from modules.jobs.store import Store

logger = logging.getLogger(__name__)


class ResultFetcher:
    """
    Fetches results, one at a time.

    :param ledger: has them
    :type ledger: Ledger
    :param store: gets them
    :type store: Store
    :param on_fetched: called with each job that was fetched
    :type on_fetched: Callable[[Job], None]
    """

    def __init__(self, ledger: Ledger, store: Store, on_fetched: Callable[[Job], None]):
        self.store = store
        self._ledger = ledger
        self._on_fetched = on_fetched
        self._lock = threading.RLock()

    def fetch(self, job: Job, fields: dict[str, str]) -> None:
        """
        Put a job that has ended into the store, unless it is there.

        :param job: the job
        :type job: Job
        :param fields: from :meth:`modules.jobs.fleet.records.JobRecords.find`
        :type fields: dict[str, str]
        :raises modules.errors.DiskFull: when it cannot be recorded
        :raises OSError: when a file cannot be written
        """
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
            lifecycle.remove_files(job)

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
