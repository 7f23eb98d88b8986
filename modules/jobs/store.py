#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The durable record of jobs: a folder for each job's files and an SQLite database beside them. A crash at any moment
leaves a whole job or none: a job exists when its row does, which is written last and removed first.

SQLite's rollback journal rather than its write-ahead log, because the latter needs shared memory, which network
drives do not have.

Libraries: filelock, whose refusal is understood here.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import filelock

from modules import errors
from modules.homes import FolderLock
from modules.jobs import leftovers
from modules.jobs.job import Job
from modules.jobs.leftovers import FOLDER
from modules.jobs.record import job_from_json, job_to_json

logger = logging.getLogger(__name__)

DATABASE, LOCK = 'jobs.sqlite', 'jobs.lock'

#: what was removed is remembered until its folder is gone for sure
SCHEMA = ('''
    CREATE TABLE IF NOT EXISTS jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        record TEXT NOT NULL)
''', 'CREATE TABLE IF NOT EXISTS removed (id TEXT PRIMARY KEY)')

#: seconds for which an answer holds whether jobs can be recorded
CHECKED = 5.0

SELECT = 'SELECT id, state, record FROM jobs '


class HomeInUse(Exception):
    """
    Another process has this store open.

    :param home: its folder
    :type home: Path
    """

    def __init__(self, home: Path):
        super().__init__(str(home))
        self.home = home


class Store:
    """
    Jobs on the disk. May be used by several threads; by one process at a time.

    :param home: a folder, made when the store is opened
    :type home: Path
    """

    def __init__(self, home: Path):
        self.home = home
        self._home_lock = FolderLock(home, LOCK)
        self._database: sqlite3.Connection | None = None
        #: the record was not there when the store was opened
        self._is_new = False
        self._lock = threading.RLock()
        self._readers: Counter[str] = Counter()
        #: ids of jobs that were refused although their row may be there
        self._doubtful: set[str] = set()
        #: when, and with what result, a write was tried last
        self._checked = -CHECKED
        self._problem: errors.DiskFull | None = None

    def open(self) -> None:
        """
        Open the store, unless it is.

        :raises HomeInUse: when another process has it
        :raises modules.errors.DiskFull: when it cannot be written; worth trying again
        """
        with self._lock:
            if self._database and (self.home / DATABASE).exists():
                return
            # the folder may have been tidied away by somebody
            self.close()
            try:
                self.home.mkdir(parents = True, exist_ok = True)
                self._home_lock.acquire()
                path = self.home / DATABASE
                self._is_new = not path.exists() or path.stat().st_size == 0
                self._database = _connected(self.home / DATABASE)
                self._drop_refused()
            except filelock.Timeout:
                raise HomeInUse(self.home) from None
            except (OSError, sqlite3.Error) as error:
                logger.exception('%s cannot be written', self.home)
                self.close()
                raise errors.DiskFull from error

    def close(self) -> None:
        """Let another process have it."""
        with self._lock:
            if self._database:
                self._database.close()
                self._database = None
            self._home_lock.release()

    def add(self, job: Job) -> None:
        """
        Record a new job; on return it will outlive a crash.

        :param job: its upload lies in its folder already
        :type job: Job
        :raises modules.errors.DiskFull: when it cannot be written
        """
        try:
            with self._writing() as database:
                fsync(job.folder)
                fsync(self.home)
                database.execute('INSERT INTO jobs (id, state, record) VALUES (?, ?, ?)',
                                 (job.id, job.state, job_to_json(job)))
                # the last of SQLite's syncs may fail when the row is there for good
                self._doubtful.add(job.id)
        except errors.DiskFull:
            # any transaction takes it back; where this one cannot, the next one does, or the next start
            with contextlib.suppress(errors.DiskFull), self._writing():
                pass
            raise
        self._doubtful.discard(job.id)

    def save(self, job: Job) -> None:
        """
        Record what has become of a job; nothing where it was removed.

        :param job: a job that was added
        :type job: Job
        :raises modules.errors.DiskFull: when it cannot be written
        """
        with self._writing() as database:
            database.execute('UPDATE jobs SET state = ?, record = ? WHERE id = ?',
                             (job.state, job_to_json(job), job.id))

    def remove(self, job: Job) -> None:
        """
        Forget a job; its folder is the caller's to remove.

        :param job: a job
        :type job: Job
        :raises modules.errors.DiskFull: when it cannot be written
        """
        with self._writing():
            self._delete([job.id])

    def problem(self) -> errors.DiskFull | None:
        """
        Try whether jobs can be recorded, as far as that is not known of a moment ago.

        :return: why they cannot; None when they can
        :rtype: errors.DiskFull | None
        """
        with self._lock:
            if time.monotonic() - self._checked >= CHECKED:
                self._problem = None
                try:
                    self._try_to_write()
                except errors.DiskFull:
                    # without a traceback, which would hold on to what it was raised in
                    self._problem = errors.DiskFull()
                self._checked = time.monotonic()
            return self._problem

    def _try_to_write(self) -> None:
        """Record a job, and take that back."""
        with self._writing() as database:
            database.execute('SAVEPOINT trial')
            database.execute("INSERT INTO jobs (id, state, record) VALUES ('', 'queued', '')")
            database.execute('ROLLBACK TO trial')
            database.execute('RELEASE trial')

    def find(self, identity: str) -> Job | None:
        """
        A job by its id.

        :param identity: the id, or anything else a stranger may have sent
        :type identity: str
        :return: the job as it was last recorded, or None
        :rtype: Job | None
        :raises modules.errors.DiskFull: when the record cannot be read
        """
        if not FOLDER.fullmatch(identity):
            return None
        return next(self._jobs('WHERE id = ?', identity), None)

    def find_unfinished(self) -> list[Job]:
        """
        Jobs that have not ended.

        :return: in the order in which they came
        :rtype: list[Job]
        :raises modules.errors.DiskFull: when the record cannot be read
        """
        return list(self._jobs("WHERE state IN ('queued', 'running') ORDER BY number"))

    def find_ended(self) -> list[Job]:
        """
        Jobs that have ended.

        :return: in the order in which they came
        :rtype: list[Job]
        :raises modules.errors.DiskFull: when the record cannot be read
        """
        return list(self._jobs("WHERE state NOT IN ('queued', 'running') ORDER BY number"))

    @contextlib.contextmanager
    def reading(self, job: Job) -> Iterator[None]:
        """
        While this lasts, :meth:`has_readers` tells so.

        :param job: a job whose files are being read
        :type job: Job
        :yield: nothing
        :ytype: None
        """
        with self._lock:
            self._readers[job.id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers[job.id] -= 1
                # a plain counter keeps zeros
                self._readers += Counter()

    def has_readers(self, job: Job) -> bool:
        """
        Whether somebody is reading a job's files.

        :param job: a job
        :type job: Job
        :return: whether :meth:`reading` is going on
        :rtype: bool
        """
        return self._readers[job.id] > 0

    def _jobs(self, which: str, *values: str) -> Iterator[Job]:
        for identity, state, record in self._rows(SELECT + which, *values):
            try:
                yield job_from_json(self.home / identity, state, record)
            except errors.BadRecord:
                # another version may have written it; it must not keep the rest away
                logger.exception('The record of job %s is not understood', identity)

    def _rows(self, query: str, *values: str) -> list[tuple]:
        with self._lock:
            if not self._database:
                return []
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.Error as error:
                logger.exception('The record of jobs cannot be read')
                raise errors.DiskFull from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; on the disk when it is over."""
        with self._lock:
            try:
                self.open()
                doubtful = tuple(self._doubtful)
                with self._database:
                    self._delete(doubtful)
                    yield self._database
                self._doubtful.difference_update(doubtful)
            except (HomeInUse, OSError, sqlite3.Error) as error:
                logger.exception('The record of jobs cannot be written')
                raise errors.DiskFull from error

    def _drop_refused(self) -> None:
        """Jobs without a folder have been refused, while their row could not be taken back."""
        waiting = self._database.execute("SELECT id FROM jobs WHERE state = 'queued'")
        lost = [identity for identity, in waiting if not (self.home / identity).exists()]
        if lost:
            logger.warning('Jobs that have no folder are dropped: %s', ', '.join(lost))
        with self._database:
            self._delete(lost)

    def _delete(self, identities: Iterable[str]) -> None:
        rows = [(identity, ) for identity in identities]
        self._database.executemany('DELETE FROM jobs WHERE id = ?', rows)
        self._database.executemany('INSERT OR IGNORE INTO removed VALUES (?)', rows)

    def sweep(self) -> None:
        """
        Remove what a crash has left: folders of jobs that were removed or never accepted, and what was unfinished in
        the others. What may be a result that the record has lost is set aside.

        :raises modules.errors.DiskFull: when the record cannot be read or written
        """
        known = {identity for identity, in self._rows('SELECT id FROM jobs')}
        removed = {identity for identity, in self._rows('SELECT id FROM removed')}
        leftovers.sweep(self.home, leftovers.Record(known, removed, self._is_new))
        gone = [(name, ) for name in removed if not (self.home / name).exists()]
        if gone:
            with self._writing() as database:
                database.executemany('DELETE FROM removed WHERE id = ?', gone)


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


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout = 10, check_same_thread = False)
    try:
        # the folder is synchronised too, so that a finished journal does not come back
        database.execute('PRAGMA synchronous = EXTRA')
        with database:
            for table in SCHEMA:
                database.execute(table)
    except sqlite3.Error:
        database.close()
        raise
    return database
