#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What ``animate -o`` means, a file or a folder, and whether clips can go there.

Libraries: none but the standard one.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from modules import encoders
from modules.commands import targets
from modules.i18n import Text, text

#: a file's ending → its format
FORMATS = {Path('x' + kind.extension).suffix: name for name, kind in encoders.TABLE.items()}
FORMATS['.jpeg'] = FORMATS['.jpg']


class OutputRefused(Exception):  # noqa: N818
    """
    Clips cannot go where they are to go.

    :param reason: why
    :type reason: Text
    """

    def __init__(self, reason: Text):
        super().__init__(reason.key)
        self.text = reason


def output_folder(output: str | None) -> Path | None:
    """
    Return the folder that is meant, once it is known to be one.

    :param output: as it was typed
    :type output: str | None
    :return: the folder; None for beside each photo
    :rtype: Path | None
    """
    if not output:
        return None
    # people who come from Windows end a folder so everywhere
    return Path(output[:-1] if output.endswith('\\') and os.name != 'nt' else output)


def output_file(output: str | None, photos: int) -> Path | None:
    """
    Return the file that is meant, if it is one.

    :param output: as it was typed
    :type output: str | None
    :param photos: how many there are
    :type photos: int
    :return: the file; None for a folder, or beside each photo
    :rtype: Path | None
    :raises OutputRefused: when many photos are to go into one file
    """
    if not output or output.endswith(('/', '\\')) or targets.is_folder(Path(output)):
        return None
    path = Path(output)
    is_there = targets.find_stat(path) is not None
    if photos > 1 and (path.suffix.lower() in FORMATS or is_there):
        raise OutputRefused(text('cli.not_a_folder', path = output))
    return path if photos <= 1 and (path.suffix or is_there) else None


def check_folder(wanted: Path | None) -> None:
    """
    Refuse a folder that is none.

    :param wanted: a folder, which need not be there yet; None for beside each photo
    :type wanted: Path | None
    :raises OutputRefused: with the reason
    """
    if wanted and not targets.is_folder(found := targets.nearest_existing(wanted)):
        raise OutputRefused(text('cli.file_not_folder', path = found))


def check_file(target: Path, photos: Iterable[Path], format_name: str) -> None:
    """
    Refuse to write over a photo, or a kind of file under another kind's ending, or under a name that is too long.

    :param target: the file
    :type target: Path
    :param photos: the photos
    :type photos: Iterable[Path]
    :param format_name: one of :data:`modules.encoders.TABLE`
    :type format_name: str
    :raises OutputRefused: with the reason
    """
    found = targets.find_stat(target)
    if found and any(os.path.samestat(found, own) for own in map(targets.find_stat, photos) if own):
        raise OutputRefused(text('cli.over_the_photo', path = target))
    if FORMATS.get(target.suffix.lower()) != format_name:
        extension = encoders.TABLE[format_name].extension
        raise OutputRefused(
            text('cli.wrong_ending', path = target, extension = extension, format = format_name))
    if len(os.fsencode(target.name)) > targets.max_name_bytes(target.parent):
        raise OutputRefused(text('cli.name_too_long', path = target))
