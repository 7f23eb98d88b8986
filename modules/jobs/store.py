#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The durable record of jobs: a folder for each job's files and an SQLite database beside them. A crash at any moment
leaves a whole job or none: a job exists when its row does, which is written last and removed first.

Libraries: none.
"""

import contextlib
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from modules import errors
from modules.jobs import leftovers
from modules.jobs.database import Database, delete_jobs
from modules.jobs.job import Job, link_id
from modules.jobs.leftovers import FOLDER
from modules.jobs.record import job_from_json, job_to_json

logger = logging.getLogger(__name__)

SELECT = 'SELECT id, state, record FROM jobs'


class Readers:
    """Who is reading which job's files just now."""

    def __init__(self):
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    @contextlib.contextmanager
    def reading(self, job: Job) -> Iterator[None]:
        """
        Let :meth:`has_any` say so as long as the block lasts.

        :param job: a job whose files are being read
        :type job: Job
        :yield: nothing
        :ytype: None
        """
        with self._lock:
            self._counts[job.id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._counts[job.id] -= 1
                # a plain counter keeps zeros
                self._counts += Counter()

    def has_any(self, job: Job) -> bool:
        """
        Find out whether somebody is reading a job's files.

        :param job: a job
        :type job: Job
        :return: whether :meth:`reading` is going on
        :rtype: bool
        """
        return self._counts[job.id] > 0


class Store:
    """
    Jobs on the disk. May be used by several threads; by one process at a time.

    :param home: a folder, made when the store is opened
    :type home: Path
    """

    def __init__(self, home: Path):
        self.home = home
        self.readers = Readers()
        self._database = Database(home)

    def open(self) -> None:
        """
        Open the store, unless it is.

        :raises modules.jobs.database.HomeInUse: when another process has it
        :raises modules.errors.DiskFull: when it cannot be written; worth trying again
        """
        self._database.open()

    def close(self) -> None:
        """Let another process have it."""
        self._database.close()

    def problem(self) -> errors.DiskFull | None:
        """
        Find out whether jobs can be recorded.

        :return: why they cannot; None when they can
        :rtype: errors.DiskFull | None
        """
        return self._database.problem()

    def add(self, job: Job) -> None:
        """
        Record a new job; on return it will outlive a crash.

        :param job: its upload lies in its folder already
        :type job: Job
        :raises modules.errors.DiskFull: when it cannot be written
        """
        try:
            with self._database.writing() as connection:
                fsync(job.folder)
                fsync(self.home)
                connection.execute('INSERT INTO jobs (id, state, record, link) VALUES (?, ?, ?, ?)',
                                   (job.id, job.state, job_to_json(job), link_id(job.id)))
                # the last of SQLite's syncs may fail when the row is there for good
                self._database.doubtful.add(job.id)
        except errors.DiskFull:
            # any transaction takes it back; where this one cannot, the next one does, or the next start
            with contextlib.suppress(errors.DiskFull), self._database.writing():
                pass
            raise
        self._database.doubtful.discard(job.id)

    def save(self, job: Job) -> None:
        """
        Record what has become of a job; nothing where it was removed.

        :param job: a job that was added
        :type job: Job
        :raises modules.errors.DiskFull: when it cannot be written
        """
        with self._database.writing() as connection:
            connection.execute('UPDATE jobs SET state = ?, record = ? WHERE id = ?',
                               (job.state, job_to_json(job), job.id))

    def remove(self, job: Job) -> None:
        """
        Forget a job; its folder is the caller's to remove.

        :param job: a job
        :type job: Job
        :raises modules.errors.DiskFull: when it cannot be written
        """
        with self._database.writing() as connection:
            delete_jobs(connection, [job.id])

    def find(self, identity: str) -> Job | None:
        """
        Find a job by its id.

        :param identity: the id, or anything else a stranger may have sent
        :type identity: str
        :return: the job as it was last recorded, or None
        :rtype: Job | None
        :raises modules.errors.DiskFull: when the record cannot be read
        """
        if not FOLDER.fullmatch(identity):
            return None
        return next(_jobs(self._database, 'WHERE id = ?', identity), None)

    def find_by_link(self, link: str) -> Job | None:
        """
        Find a job by the id that others have of its clip.

        :param link: from :func:`modules.jobs.job.link_id`, or anything else a stranger may have sent
        :type link: str
        :return: the job as it was last recorded, or None
        :rtype: Job | None
        :raises modules.errors.DiskFull: when the record cannot be read
        """
        return next(_jobs(self._database, 'WHERE link = ?', link), None)

    def find_unfinished(self) -> list[Job]:
        """
        Find the jobs that have not ended.

        :return: in the order in which they came
        :rtype: list[Job]
        :raises modules.errors.DiskFull: when the record cannot be read
        """
        which = "WHERE state IN ('queued', 'running') ORDER BY number"
        return list(_jobs(self._database, which))

    def find_ended(self) -> list[Job]:
        """
        Find the jobs that have ended.

        :return: in the order in which they came
        :rtype: list[Job]
        :raises modules.errors.DiskFull: when the record cannot be read
        """
        which = "WHERE state NOT IN ('queued', 'running') ORDER BY number"
        return list(_jobs(self._database, which))

    def sweep(self) -> None:
        """
        Remove what a crash has left: folders of jobs that were removed or never accepted, and what was unfinished in
        the others. What may be a result that the record has lost is set aside.

        :raises modules.errors.DiskFull: when the record cannot be read or written
        """
        known = {identity for identity, in self._database.rows('SELECT id FROM jobs')}
        removed = {identity for identity, in self._database.rows('SELECT id FROM removed')}
        leftovers.sweep(self.home, leftovers.Record(known, removed, self._database.is_new))
        gone = [(name, ) for name in removed if not (self.home / name).exists()]
        if gone:
            with self._database.writing() as connection:
                connection.executemany('DELETE FROM removed WHERE id = ?', gone)


def _jobs(database: Database, which: str, *values: str) -> Iterator[Job]:
    for identity, state, record in database.rows(f'{SELECT} {which}', *values):
        try:
            yield job_from_json(database.home / identity, state, record)
        except errors.BadRecord:
            # another version may have written it; it must not keep the rest away
            logger.exception('The record of job %s is not understood', identity)


def fsync(path: Path) -> None:
    """
    Wait until a file's content, or a folder's list of files, is on the disk.

    :param path: a file or a folder
    :type path: Path
    :raises OSError: when it cannot be
    """
    if path.is_dir() and os.name == 'nt':
        # Windows does that by itself, and opens no folder
        return
    # Windows wants a file that may be written
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)
