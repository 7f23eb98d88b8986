#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``animate``: photos → clips without a server, one after the other, with a progress bar.

Libraries: none but the standard one.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from modules import encoders, errors, i18n, parameters, terminal
from modules.animation import Animator, tell_together
from modules.arguments import Arguments
from modules.engines import StopIfCancelled
from modules.jobs.work import interruptible

#: what is taken from a folder; a photo named on the command line may have any ending
ENDINGS = ('.avif', '.bmp', '.heic', '.heif', '.jpeg', '.jpg', '.mpo', '.png', '.tif', '.tiff',
           '.webp')

#: a file's ending → its format
FORMATS = {Path('x' + kind.extension).suffix: name for name, kind in encoders.TABLE.items()}


class Unsuitable(Exception):
    """
    The output that was named does not suit, for a reason in words.

    :param reason: why
    :type reason: i18n.Text
    """

    def __init__(self, reason: i18n.Text):
        super().__init__(reason)


def animate(animator: Animator, arguments: Arguments, language: str) -> int:
    """
    Make a clip of every photo; one that cannot be read does not stop the others.

    :param animator: does the work
    :type animator: Animator
    :param arguments: photos, output and parameters
    :type arguments: Arguments
    :param language: of what is said
    :type language: str
    :return: 0 when every photo became a clip, 1 when some did not, 2 when nothing could be started
    :rtype: int
    """
    photos = list(found(arguments.photos))
    try:
        target = named_file(arguments.output, len(photos))
        fields = list(_fields(target, arguments))
        wanted = parameters.parse(fields, Path(), '', animator.engines.preferred)
        wanted = animator.settled(wanted)
        if target:
            check_target(target, photos, wanted.format)
    except errors.Refusal as refusal:
        return _refuse(refusal.text, language)
    except Unsuitable as error:
        return _refuse(error.args[0], language)
    if not photos:
        return _refuse(i18n.text('cli.no_photos'), language)
    extension = encoders.TABLE[wanted.format].extension
    targets = [target] if target else outputs(photos, folder(arguments.output), extension)
    draws = not any(name == 'seed' for name, _value in fields)
    created = arguments.again.created if arguments.again else None
    failed = 0
    with terminal.count(len(photos)) as count:
        for photo, path in zip(photos, targets, strict = True):
            seed = parameters.draw_seed() if draws else wanted.seed
            stem = parameters.safe_stem(photo.name)
            request = replace(wanted, photo = photo, stem = stem, seed = seed)
            failed += not _one(animator, request, path, created, language)
            count()
    return int(failed > 0)


def found(places: Iterable[Path]) -> Iterator[Path]:
    """
    The photos among files and folders.

    :param places: files, taken as they are, and folders, whose photos are taken in the order of their names
    :type places: Iterable[Path]
    :yield: photos
    :ytype: Path
    """
    for place in places:
        if place.is_dir():
            yield from sorted(path for path in place.iterdir()
                              if path.suffix.lower() in ENDINGS and path.is_file())
        else:
            yield place


def folder(output: str | None) -> Path | None:
    """
    The folder that is meant, once it is known to be one.

    :param output: as it was typed
    :type output: str | None
    :return: the folder; None for beside each photo
    :rtype: Path | None
    """
    if not output:
        return None
    # people who come from Windows end a folder so everywhere
    return Path(output[:-1] if output.endswith('\\') and os.name != 'nt' else output)


def named_file(output: str | None, photos: int) -> Path | None:
    """
    The file that is meant, if it is one.

    :param output: as it was typed
    :type output: str | None
    :param photos: how many there are
    :type photos: int
    :return: the file; None for a folder, or beside each photo
    :rtype: Path | None
    :raises Unsuitable: when many photos are to go into one file
    """
    if not output or output.endswith(('/', '\\')) or Path(output).is_dir():
        return None
    path = Path(output)
    if photos > 1 and (path.suffix.lower() in FORMATS or path.exists()):
        raise Unsuitable(i18n.text('cli.not_a_folder', path = output))
    return path if photos <= 1 and (path.suffix or path.exists()) else None


def check_target(target: Path, photos: Iterable[Path], format_name: str) -> None:
    """
    Refuse to write over a photo, or a kind of file under another kind's ending.

    :param target: the file
    :type target: Path
    :param photos: the photos
    :type photos: Iterable[Path]
    :param format_name: one of :data:`modules.encoders.TABLE`
    :type format_name: str
    :raises Unsuitable: with the reason
    """
    if target.exists() and any(photo.exists() and target.samefile(photo) for photo in photos):
        raise Unsuitable(i18n.text('cli.over_the_photo', path = target))
    if FORMATS.get(target.suffix.lower()) != format_name:
        extension = encoders.TABLE[format_name].extension
        raise Unsuitable(
            i18n.text(
                'cli.wrong_ending', path = target, extension = extension, format = format_name))


def _fields(target: Path | None, arguments: Arguments) -> Iterator[tuple[str, str]]:
    """
    The parameters: those that are given, the format by the ending of the file, and those of the result that is to be
    made anew, each where the ones before say nothing.
    """
    yield from arguments.fields
    given = {name for name, _value in arguments.fields}
    ending = FORMATS.get(target.suffix.lower()) if target else None
    if ending and 'format' not in given:
        yield 'format', ending
        given.add('format')
    if arguments.again:
        yield from (field for field in arguments.again.fields if field[0] not in given)


def outputs(photos: list[Path], output: Path | None, extension: str) -> Iterator[Path]:
    """
    Where each clip goes: no two to the same place, and onto no file that is there already.

    :param photos: the photos
    :type photos: list[Path]
    :param output: a folder, or None for beside each photo
    :type output: Path | None
    :param extension: of the clips, with its dot
    :type extension: str
    :yield: paths, in the order of ``photos``
    :ytype: Path
    """
    taken: set[str] = set()
    for photo in photos:
        path = (output or photo.parent) / f'{photo.stem}{extension}'
        number = 2
        while path.exists() or _key(path) in taken:
            path = path.with_name(f'{photo.stem}-{number}{extension}')
            number += 1
        taken.add(_key(path))
        yield path


def _key(path: Path) -> str:
    """Some file systems take ``A.gif`` and ``a.gif`` for one file."""
    return str(path.resolve()).casefold()


def _one(animator: Animator, request: parameters.AnimationRequest, target: Path,
         created: datetime | None, language: str) -> bool:
    """Make one clip; say what became of it."""
    try:
        animator.reader.check(request.photo)
        target.parent.mkdir(parents = True, exist_ok = True)
        with tempfile.TemporaryDirectory(prefix = '.', dir = target.parent) as room:
            made = Path(room) / 'clip'
            request, note = _made(animator, request, made, created)
            made.replace(target)
    except errors.Refusal as refusal:
        terminal.say(f'{request.photo}: {refusal.text.in_(language)}', sys.stderr)
    except OSError as error:
        terminal.say(f'{request.photo}: {error.strerror or error}', sys.stderr)
    else:
        written = i18n.text(
            'cli.written', path = target, seed = request.seed, engine = request.engine)
        terminal.say(written.in_(language), sys.stdout)
        if note:
            terminal.say(note.in_(language), sys.stderr)
        return True
    return False


def _made(animator: Animator, request: parameters.AnimationRequest, path: Path,
          created: datetime | None) -> tuple[parameters.AnimationRequest, i18n.Text | None]:
    """Write a clip; the request as it was done, perhaps with another engine, and what had to be given up."""

    def work(stop_if_cancelled: StopIfCancelled) -> i18n.Text | None:
        with terminal.progress_bar(request.stem, True) as show:
            return animator.animate(request, path, show, stop_if_cancelled, created = created)

    try:
        return request, interruptible(str(request.photo), work)
    except errors.EngineUnavailable as refusal:
        request, note = animator.redirected(request, refusal)
    return request, tell_together(note, interruptible(str(request.photo), work))


def _refuse(words: i18n.Text, language: str) -> int:
    terminal.say(words.in_(language), sys.stderr)
    return 2
