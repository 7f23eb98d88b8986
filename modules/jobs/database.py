#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The SQLite file of the store: opened by one process at a time, written in transactions that are on the disk when they
are over.

SQLite's rollback journal rather than its write-ahead log, because the latter needs shared memory, which network
drives do not have.

Libraries: filelock, whose refusal is understood here.
"""

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import filelock

from modules import errors
from modules.homes import FolderLock
from modules.jobs.job import link_id

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


class HomeInUse(Exception):
    """
    Another process has this store open.

    :param home: its folder
    :type home: Path
    """

    def __init__(self, home: Path):
        super().__init__(str(home))
        self.home = home


class Database:
    """
    The file. May be used by several threads.

    :param home: its folder, made when it is opened
    :type home: Path
    """

    def __init__(self, home: Path):
        self.home = home
        self.connection: sqlite3.Connection | None = None
        #: the file was not there when it was opened
        self.is_new = False
        #: ids of jobs that were refused although their row may be there
        self.doubtful: set[str] = set()
        self._home_lock = FolderLock(home, LOCK)
        self._lock = threading.RLock()
        #: when, and with what result, a write was tried last
        self._checked = -CHECKED
        self._problem: errors.DiskFull | None = None

    def open(self) -> sqlite3.Connection:
        """
        Open the file, unless it is.

        :return: the connection
        :rtype: sqlite3.Connection
        :raises HomeInUse: when another process has it
        :raises modules.errors.DiskFull: when it cannot be written; worth trying again
        """
        with self._lock:
            if self.connection and (self.home / DATABASE).exists():
                return self.connection
            # somebody may have removed the folder
            self.close()
            try:
                self.home.mkdir(parents = True, exist_ok = True)
                self._home_lock.acquire()
                path = self.home / DATABASE
                self.is_new = not path.exists() or path.stat().st_size == 0
                self.connection = _connect(path)
                self._drop_refused(self.connection)
                return self.connection
            except filelock.Timeout:
                raise HomeInUse(self.home) from None
            except (OSError, sqlite3.Error) as error:
                logger.exception('%s cannot be written', self.home)
                self.close()
                raise errors.DiskFull from error

    def close(self) -> None:
        """Let another process have it."""
        with self._lock:
            if self.connection:
                self.connection.close()
                self.connection = None
            self._home_lock.release()

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
        with self.writing() as connection:
            connection.execute('SAVEPOINT trial')
            connection.execute("INSERT INTO jobs (id, state, record) VALUES ('', 'queued', '')")
            connection.execute('ROLLBACK TO trial')
            connection.execute('RELEASE trial')

    def rows(self, query: str, *values: str) -> list[tuple]:
        """
        Read rows; while the file is not open, there are none.

        :param query: a SELECT statement
        :type query: str
        :param values: what stands for its question marks
        :type values: str
        :return: the rows
        :rtype: list[tuple]
        :raises modules.errors.DiskFull: when they cannot be read
        """
        with self._lock:
            if not self.connection:
                return []
            try:
                return self.connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                logger.exception('The record of jobs cannot be read')
                raise errors.DiskFull from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """
        Open a transaction, which is on the disk when the block is over.

        :yield: the connection
        :ytype: sqlite3.Connection
        :raises modules.errors.DiskFull: when it cannot be written
        """
        with self._lock:
            try:
                connection = self.open()
                doubtful = tuple(self.doubtful)
                with connection:
                    delete_jobs(connection, doubtful)
                    yield connection
                self.doubtful.difference_update(doubtful)
            except (HomeInUse, OSError, sqlite3.Error) as error:
                logger.exception('The record of jobs cannot be written')
                raise errors.DiskFull from error

    def _drop_refused(self, connection: sqlite3.Connection) -> None:
        """Jobs without a folder have been refused, while their row could not be taken back."""
        waiting = connection.execute("SELECT id FROM jobs WHERE state = 'queued'")
        lost = [identity for identity, in waiting if not (self.home / identity).exists()]
        if lost:
            logger.warning('Jobs that have no folder are dropped: %s', ', '.join(lost))
        with connection:
            delete_jobs(connection, lost)


def delete_jobs(connection: sqlite3.Connection, identities: Iterable[str]) -> None:
    """
    Delete the rows of jobs, and remember that their folders are to go.

    :param connection: of a transaction
    :type connection: sqlite3.Connection
    :param identities: ids of jobs
    :type identities: Iterable[str]
    """
    rows = [(identity, ) for identity in identities]
    connection.executemany('DELETE FROM jobs WHERE id = ?', rows)
    connection.executemany('INSERT OR IGNORE INTO removed VALUES (?)', rows)


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout = 10, check_same_thread = False)
    try:
        # the folder is synchronised too, so that a finished journal does not come back
        database.execute('PRAGMA synchronous = EXTRA')
        with database:
            for table in SCHEMA:
                database.execute(table)
            _add_links(database)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _add_links(connection: sqlite3.Connection) -> None:
    """Add what a file of an earlier version lacks, and rows that such a version has written since."""
    columns = {name for _number, name, *_facts in connection.execute('PRAGMA table_info(jobs)')}
    if 'link' not in columns:
        connection.execute('ALTER TABLE jobs ADD COLUMN link TEXT')
    connection.execute('CREATE INDEX IF NOT EXISTS links ON jobs (link)')
    lacking = connection.execute('SELECT id FROM jobs WHERE link IS NULL').fetchall()
    connection.executemany('UPDATE jobs SET link = ? WHERE id = ?',
                           [(link_id(identity), identity) for identity, in lacking])
