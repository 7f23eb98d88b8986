#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Files of jobs, opened where they lie and nowhere else: a link that somebody has put in their place leads out of the
folder, to a file that is nobody's result.

Libraries: none but the standard one.
"""

import errno
import io
import os
from pathlib import Path


def open_own(path: Path | str, flags: int = os.O_RDONLY) -> int:
    """
    Open a file of a job; may be given to ``open`` as its opener.

    :param path: the file, in the job's folder
    :type path: Path | str
    :param flags: as ``os.open`` knows them
    :type flags: int
    :return: its number
    :rtype: int
    :raises FileNotFoundError: when it is not there, or somewhere else
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


def read_own(path: Path) -> io.FileIO:
    """
    Read a file of a job.

    :param path: the file, in the job's folder
    :type path: Path
    :return: the file, open
    :rtype: io.FileIO
    :raises FileNotFoundError: when it is not there, or somewhere else
    """
    return io.FileIO(path, opener = open_own)
