#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Where ``animate`` puts clips: under a name that was given, or under the first free one of many. A clip is made beside
its place and moved there when it is whole.

Libraries: none but the standard one.
"""

import errno
import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: bytes that a file's name may have where the system does not tell
MAX_NAME_BYTES = 255


@dataclass(frozen = True)
class Named:
    """A file that a person named; what is there is replaced, at the far end of a link where it is one."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def folder(self) -> Path:
        """The folder in which the clip is made."""
        return self._real.parent

    def put(self, made: Path) -> Path:
        """
        Move a clip to its place.

        :param made: the clip, on the same disk
        :type made: Path
        :return: its place, as it was named
        :rtype: Path
        """
        made.replace(self._real)
        return self.path

    @property
    def _real(self) -> Path:
        real = Path(os.path.realpath(self.path)) if self.path.is_symlink() else self.path
        if real.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return real


@dataclass(frozen = True)
class Numbered:
    """The first free of ``a.gif``, ``a-2.gif`` …; nothing that is there is replaced, whoever put it there."""

    folder: Path
    #: of the photo; shortened where it is too long for a result's name
    stem: str
    #: with its dot
    extension: str
    #: names given to others of this run
    taken: set[str] = field(default_factory = set)

    def __str__(self) -> str:
        return str(self.folder)

    def find(self) -> Path:
        """
        Take a free name.

        :return: the name, free when it was looked for
        :rtype: Path
        """
        path = next(path for path in self._names()
                    if _key(path) not in self.taken and not _is_there(path))
        self.taken.add(_key(path))
        return path

    def put(self, made: Path) -> Path:
        """
        Move a clip to its place.

        :param made: the clip, on the same disk
        :type made: Path
        :return: its place
        :rtype: Path
        """
        while True:
            path = self.find()
            try:
                path.open('x').close()
            except FileExistsError:
                # another program was faster
                continue
            try:
                made.replace(path)
            except OSError:
                path.unlink(missing_ok = True)
                raise
            return path

    def _names(self) -> Iterator[Path]:
        longest = max_name_bytes(self.folder)
        for number in itertools.count(1):
            end = (f'-{number}' if number > 1 else '') + self.extension
            yield self.folder / (shorten(self.stem, longest - len(end)) + end)


#: where a clip goes
Target = Named | Numbered


def number_targets(photos: Iterable[Path], output: Path | None,
                   extension: str) -> Iterator[Numbered]:
    """
    Give each clip a place of its own, where no file is.

    :param photos: the photos
    :type photos: Iterable[Path]
    :param output: a folder, or None for beside each photo
    :type output: Path | None
    :param extension: of the clips, with its dot
    :type extension: str
    :yield: places, in the order of ``photos``
    :ytype: Numbered
    """
    taken: set[str] = set()
    for photo in photos:
        yield Numbered(output or photo.parent, photo.stem, extension, taken)


def free_paths(photos: list[Path], output: Path | None, extension: str) -> Iterator[Path]:
    """
    Find names for clips that are free now, as :func:`number_targets` does.

    :param photos: the photos
    :type photos: list[Path]
    :param output: a folder, or None for beside each photo
    :type output: Path | None
    :param extension: of the clips, with its dot
    :type extension: str
    :yield: paths, in the order of ``photos``
    :ytype: Path
    """
    for place in number_targets(photos, output, extension):
        yield place.find()


def shorten(stem: str, size: int) -> str:
    """
    Shorten a name to what fits.

    :param stem: the name without its ending
    :type stem: str
    :param size: bytes it may have
    :type size: int
    :return: as many whole letters of it as fit
    :rtype: str
    """
    if len(os.fsencode(stem)) <= size:
        return stem
    while len(os.fsencode(stem)) > size:
        stem = stem[:-1]
    return stem.rstrip(' .')


def max_name_bytes(folder: Path) -> int:
    """
    Find how long a file's name may be; encrypted and other special file systems take shorter ones than usual.

    :param folder: the folder, or one that is yet to be made
    :type folder: Path
    :return: bytes
    :rtype: int
    """
    try:
        return min(os.pathconf(nearest_existing(folder), 'PC_NAME_MAX'), MAX_NAME_BYTES)
    except (AttributeError, OSError):
        return MAX_NAME_BYTES


def nearest_existing(path: Path) -> Path:
    """
    Find what exists of a path.

    :param path: a path
    :type path: Path
    :return: the path, or the nearest above it that is there
    :rtype: Path
    """
    return next((each for each in (path, *path.parents) if find_stat(each)), Path())


def find_stat(path: Path) -> os.stat_result | None:
    """
    Return what the system knows of a file or folder.

    :param path: anything, even what cannot be a name
    :type path: Path
    :return: its status; None where there is nothing, or nothing that may be looked at
    :rtype: os.stat_result | None
    """
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def is_folder(path: Path) -> bool:
    """
    Tell whether there is a folder.

    :param path: anything, even what cannot be a name
    :type path: Path
    :return: whether it is one
    :rtype: bool
    """
    found = find_stat(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def _is_there(path: Path) -> bool:
    """Tell whether a name is in use, even by a broken link."""
    return path.is_symlink() or find_stat(path) is not None


def _key(path: Path) -> str:
    """Return what two names have in common that some file systems take for one, as ``A.gif`` and ``a.gif``."""
    return os.path.realpath(path).casefold()
