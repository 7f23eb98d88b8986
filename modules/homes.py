#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The temporary folder that goes with the program: when it ends, or, after a crash, when it is started again.

Libraries: filelock.
"""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from modules.folder_lock import FolderLock

logger = logging.getLogger(__name__)

PREFIX, LOCK = 'turn-live-photos-', 'alive.lock'

#: seconds within which a new folder has got its lock
NEW = 60


def sweep() -> None:
    """Remove the temporary folders of programs that have died."""
    for folder in Path(tempfile.gettempdir()).glob(f'{PREFIX}*'):
        _remove_if_dead(folder)


@contextmanager
def temporary_home() -> Iterator[Path]:
    """
    A temporary folder.

    :yield: the folder, to be used by one process
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
