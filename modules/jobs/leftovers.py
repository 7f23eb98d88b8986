#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Folders that the record of jobs does not know. What a crash has left goes at the next start; what may be somebody's
result, because the record was lost or comes from an older copy, is set aside for its owner.

Libraries: none.
"""

import logging
import os
import re
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

#: in a job's folder, where files are made that a crash may leave unfinished
UNFINISHED = 'unfinished'
#: where folders go that the record does not know
ASIDE = 'unknown'

#: what is ours in a folder that may hold other things
FOLDER = re.compile(r'[0-9a-f]{32}')


@dataclass(frozen = True)
class Record:
    """What the record of jobs tells of folders."""

    #: ids of jobs
    known: Collection[str]
    #: ids of jobs that were removed, perhaps not to the last file
    removed: Collection[str]
    #: it was made just now, so that it cannot know any
    is_new: bool


def sweep(home: Path, record: Record) -> None:
    """
    Remove what a crash has left, and set aside what nobody knows.

    :param home: the folder of all jobs
    :type home: Path
    :param record: tells which are known
    :type record: Record
    """
    found = [path for path in list_job_folders(home) if path.name not in record.known]
    for folder in list_job_folders(home):
        if folder.name in record.known:
            shutil.rmtree(folder / UNFINISHED, ignore_errors = True)
    unknown = []
    for folder in found:
        # an upload that was on its way has no row yet
        if folder.name in record.removed or not (record.is_new or _has_more_than_upload(folder)):
            shutil.rmtree(folder, ignore_errors = True)
        elif set_aside(folder):
            unknown.append(folder.name)
    if unknown:
        logger.warning('The record of jobs does not know %s of the folders: they are in %s now',
                       len(unknown), home / ASIDE)


def list_job_folders(home: Path) -> list[Path]:
    """
    List the folders that are named as jobs are.

    :param home: where to look
    :type home: Path
    :return: the folders; none where there is nothing
    :rtype: list[Path]
    """
    if not home.is_dir():
        return []
    return [
        path for path in home.iterdir()
        if FOLDER.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]


def _has_more_than_upload(folder: Path) -> bool:
    """Whether there are results of a job in a folder, or it may not be looked into."""
    try:
        return any(path.name not in ('upload', UNFINISHED) for path in folder.iterdir())
    except OSError as error:
        logger.warning('%s cannot be looked into: %s', folder, error)
        return True


def set_aside(folder: Path) -> bool:
    """
    Put a folder where nobody asks for it, to be kept as long as results are.

    :param folder: the folder
    :type folder: Path
    :return: whether that could be done; it stays otherwise
    :rtype: bool
    """
    try:
        (folder.parent / ASIDE).mkdir(exist_ok = True)
        os.utime(folder)
        folder.rename(folder.parent / ASIDE / folder.name)
    except OSError as error:
        logger.warning('%s cannot be set aside: %s', folder, error)
        return False
    return True


def remove_folder(folder: Path) -> None:
    """
    Remove a job's upload and results.

    :param folder: the job's folder
    :type folder: Path
    """
    for _try in range(3):
        shutil.rmtree(folder, ignore_errors = True)
        # somebody may just be writing into it
        if not folder.exists():
            return
        time.sleep(0.05)
