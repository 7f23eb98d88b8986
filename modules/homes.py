#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Folders that one process has to itself: their lock, their files, and the temporary one that goes with the program.

Libraries: filelock, kept up by PyPA people and already there with huggingface_hub and torch: a lock that the operating
system takes from a dead process, on Windows too.
"""

import errno
import io
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

if sys.platform != 'win32':
    import fcntl

logger = logging.getLogger(__name__)

PREFIX, LOCK = 'turn-live-photos-', 'alive.lock'

#: seconds after which a folder without a lock is left over
NEW = 60


def remove_dead_homes() -> None:
    """Remove the temporary folders of programs that have died."""
    for folder in Path(tempfile.gettempdir()).glob(f'{PREFIX}*'):
        _remove_if_dead(folder)


@contextmanager
def temporary_home() -> Iterator[Path]:
    """
    Make a temporary folder that is removed at the end.

    :yield: the folder, for one process
    :ytype: Path
    """
    with (tempfile.TemporaryDirectory(prefix = PREFIX, ignore_cleanup_errors = True) as
          home, FolderLock(Path(home), LOCK)):
        yield Path(home) / 'outputs'


def _remove_if_dead(folder: Path) -> None:
    try:
        facts = folder.lstat()
        # a folder of another person's program is not ours to touch; a link may lead anywhere
        if not folder.is_dir() or folder.is_symlink() or facts.st_uid != _own_user():
            return
        if not (folder / LOCK).exists() and time.time() - facts.st_mtime < NEW:
            return
        with FolderLock(folder, LOCK):
            logger.info('Removing %s, left by a program that has died', folder)
        shutil.rmtree(folder, ignore_errors = True)
    except (OSError, filelock.Timeout):
        return


def _own_user() -> int:
    return os.getuid() if hasattr(os, 'getuid') else 0


class FolderLock:
    """
    A lock that gives a folder to one process. Somebody may delete its file, and the next process makes a new one, so
    that both would have a lock; where the system can, the folder itself is locked too.

    :param folder: the folder; there before it is locked
    :type folder: Path
    :param name: of the file in it that is locked
    :type name: str
    """

    def __init__(self, folder: Path, name: str):
        self._folder = folder
        self._file = filelock.FileLock(folder / name, timeout = 0, thread_local = False)
        self._number: int | None = None

    def acquire(self) -> None:
        """
        Lock the folder.

        :raises filelock.Timeout: when another process has it
        :raises OSError: when the file cannot be made
        """
        self._file.acquire()
        try:
            self._lock_folder()
        except BlockingIOError:
            self.release()
            raise filelock.Timeout(self._file.lock_file) from None

    def release(self) -> None:
        """Unlock the folder."""
        if self._number is not None:
            os.close(self._number)
            self._number = None
        self._file.release()

    def __enter__(self) -> 'FolderLock':
        self.acquire()
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()

    def _lock_folder(self) -> None:
        if sys.platform == 'win32' or self._number is not None:
            # Windows deletes no file that is open
            return
        number = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(number)
            if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise
            # network drives lock files alone
            logger.debug('%s cannot be locked: %s', self._folder, error)
        else:
            self._number = number


def open_no_follow(path: Path | str, flags: int = os.O_RDONLY) -> int:
    """
    Open a file of a job without following a link, which may lead to a file that is nobody's result; may be given to
    ``open`` as its opener.

    :param path: the file, in the job's folder
    :type path: Path | str
    :param flags: as ``os.open`` knows them
    :type flags: int
    :return: its file descriptor
    :rtype: int
    :raises FileNotFoundError: when it is not there, or is a link
    :raises OSError: when it cannot be opened
    """
    path = Path(path)
    if path.parent.is_symlink() or path.is_symlink():
        raise FileNotFoundError(errno.ENOENT, 'a link', str(path))
    try:
        return os.open(path, flags | getattr(os, 'O_NOFOLLOW', 0) | getattr(os, 'O_BINARY', 0))
    except OSError as error:
        # it has become a link in this moment
        if error.errno == errno.ELOOP:
            raise FileNotFoundError(errno.ENOENT, 'a link', str(path)) from error
        raise


def read_no_follow(path: Path) -> io.FileIO:
    """
    Open a file of a job for reading, as :func:`open_no_follow` does.

    :param path: the file, in the job's folder
    :type path: Path
    :return: the file, open
    :rtype: io.FileIO
    :raises FileNotFoundError: when it is not there, or is a link
    """
    return io.FileIO(path, opener = open_no_follow)
