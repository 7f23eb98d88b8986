#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The photos that ``animate`` takes: files, those of folders, and what comes through a pipe, which can be read once only
and lies in no folder.

Libraries: none but the standard one.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modules.commands import targets
from modules.web import names

#: what is taken from a folder; a photo named on the command line may have any ending
ENDINGS = ('.avif', '.bmp', '.heic', '.heif', '.hif', '.jfif', '.jpe', '.jpeg', '.jpg', '.mpo',
           '.pjp', '.pjpeg', '.png', '.tif', '.tiff', '.webp')

#: names of standard input
STANDARD_INPUT = ('-', '/dev/stdin', '/dev/fd/0', '/proc/self/fd/0')
#: folders of things that are no files
SYSTEM = ('/dev/', '/proc/')


def find_photos(places: Iterable[Path]) -> Iterator[Path]:
    """
    Find the photos among files and folders.

    :param places: files, taken as they are, and folders, whose photos are taken in the order of their names
    :type places: Iterable[Path]
    :yield: photos
    :ytype: Path
    :raises OSError: when a folder may not be listed
    """
    for place in places:
        if targets.is_folder(place):
            yield from sorted(path for path in place.iterdir() if _is_photo(path))
        else:
            yield place


def _is_photo(path: Path) -> bool:
    """Whether a file is taken for a photo; what macOS keeps beside one on other systems' disks has its name."""
    is_apple_double = path.name.startswith('._')
    return path.suffix.lower() in ENDINGS and not is_apple_double and path.is_file()


@contextmanager
def rereadable(photo: Path) -> Iterator[Path]:
    """
    Give a photo as a file that can be read twice.

    :param photo: a file, a pipe, or one of :data:`STANDARD_INPUT`
    :type photo: Path
    :yield: the file itself, or a copy of what came through the pipe, which is removed afterwards
    :ytype: Path
    """
    if not _is_pipe(photo):
        yield photo
        return
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / 'photo'
        with copy.open('wb') as file:
            # what stands behind standard input may be a socket, which has no name to be opened by
            place = 0 if str(photo) in STANDARD_INPUT else photo
            with open(place, 'rb', closefd = place != 0) as source:  # noqa: PTH123
                shutil.copyfileobj(source, file)
        yield copy


def _is_pipe(photo: Path) -> bool:
    """Whether a photo comes through a pipe, which can be read once only."""
    found = targets.find_stat(photo)
    return str(photo) in STANDARD_INPUT or (found is not None and stat.S_ISFIFO(found.st_mode))


def result_name(photo: Path) -> Path:
    """
    Find the name that results are named after.

    :param photo: as it was typed
    :type photo: Path
    :return: the photo itself; a word, in the working folder, for what has no name or no folder of its own
    :rtype: Path
    """
    is_nameless = str(photo) == '-' or os.path.abspath(photo).startswith(SYSTEM)  # noqa: PTH100
    return Path(names.NAMELESS) if is_nameless else photo
