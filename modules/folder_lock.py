#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A folder that one process has to itself. The file that tells of it may be deleted by somebody, and made anew by the
next process, so that both would have a lock; where the system can, the folder itself is locked besides.

Libraries: filelock, kept up by PyPA people and already there with huggingface_hub and torch: a lock that the operating
system takes from a dead process, on Windows too.
"""

import contextlib
import errno
import logging
import os
from pathlib import Path

import filelock

try:
    import fcntl
except ImportError:
    # Windows deletes no file that is open
    fcntl = None

logger = logging.getLogger(__name__)


class FolderLock:
    """
    One process's claim to a folder.

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
        Claim the folder.

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
        """Let another process have it."""
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
        if fcntl is None or self._number is not None:
            return
        number = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._number, number = number, None
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise
            # network drives lock files alone
            logger.debug('%s cannot be locked: %s', self._folder, error)
        finally:
            if number is not None:
                with contextlib.suppress(OSError):
                    os.close(number)
