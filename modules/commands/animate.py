#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``animate``: photos → clips without a server, one after the other, with a progress bar.

Libraries: none but the standard one.
"""

import errno
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from modules import encoders, errors, i18n, terminal
from modules.clips.animator import Animator, join_notes
from modules.commands import sources, targets
from modules.commands.arguments import Arguments
from modules.configuration import Configuration
from modules.engines import Engines
from modules.jobs.work import interruptible
from modules.photos.reader import PhotoReader
from modules.progress import JobControl, StopIfCancelled
from modules.request import AnimationRequest, draw_seed, parse_request, safe_stem

#: a file's ending → its format
FORMATS = {Path('x' + kind.extension).suffix: name for name, kind in encoders.TABLE.items()}
FORMATS['.jpeg'] = FORMATS['.jpg']


class Unsuitable(Exception):
    """
    The output that was named does not suit, for a reason in words.

    :param reason: why
    :type reason: i18n.Text
    """

    def __init__(self, reason: i18n.Text):
        super().__init__(reason)


def run(arguments: Arguments, options: Configuration, language: str) -> int:
    """
    Make clips without a server.

    :param arguments: the command line
    :type arguments: Arguments
    :param options: the configuration
    :type options: Configuration
    :param language: of what is printed
    :type language: str
    :return: the exit code
    :rtype: int
    """
    animator = Animator(options, PhotoReader(options.web.max_pixels), Engines(options))
    try:
        return animate(animator, arguments, language)
    except terminal.OutputFailed as failure:
        terminal.close_output(failure, language)
        return 1


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
    :raises terminal.OutputFailed: when nobody reads what is said any more; the clip that was told of is there
    """
    try:
        photos = list(sources.found(arguments.photos))
        target = named_file(arguments.output, len(photos))
        fields = list(_fields(target, arguments))
        wanted = parse_request(fields, Path(), '', animator.engines.preferred)
        wanted = animator.with_defaults(wanted)
        check_folder(target.parent if target else folder(arguments.output))
        if target:
            check_target(target, photos, wanted.format)
    except errors.Refusal as refusal:
        return _refuse(refusal.text, language)
    except Unsuitable as error:
        return _refuse(error.args[0], language)
    except OSError as error:
        words = i18n.text('cli.unusable', path = error.filename, reason = _reason(error))
        return _refuse(words, language)
    if not photos:
        return _refuse(i18n.text('cli.no_photos'), language)
    extension = encoders.TABLE[wanted.format].extension
    places = [targets.Named(target)] if target else numbered(photos, folder(arguments.output),
                                                             extension)
    draws = not any(name == 'seed' for name, _value in fields)
    created = arguments.again.created if arguments.again else None
    failed = 0
    with terminal.photo_bar(len(photos)) as count:
        for photo, place in zip(photos, places, strict = True):
            seed = draw_seed() if draws else wanted.seed
            stem = safe_stem(sources.name_of(photo).name)
            request = replace(wanted, photo = photo, stem = stem, seed = seed)
            failed += not _one(animator, request, place, created, language)
            count()
    return int(failed > 0)


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
    if not output or output.endswith(('/', '\\')) or targets.is_folder(Path(output)):
        return None
    path = Path(output)
    is_there = targets.facts(path) is not None
    if photos > 1 and (path.suffix.lower() in FORMATS or is_there):
        raise Unsuitable(i18n.text('cli.not_a_folder', path = output))
    return path if photos <= 1 and (path.suffix or is_there) else None


def check_folder(wanted: Path | None) -> None:
    """
    Refuse to write into what is no folder.

    :param wanted: a folder, which need not be there yet; None for beside each photo
    :type wanted: Path | None
    :raises Unsuitable: with the reason
    """
    if wanted and not targets.is_folder(there := targets.nearest(wanted)):
        raise Unsuitable(i18n.text('cli.file_not_folder', path = there))


def check_target(target: Path, photos: Iterable[Path], format_name: str) -> None:
    """
    Refuse to write over a photo, or a kind of file under another kind's ending, or under a name that is too long.

    :param target: the file
    :type target: Path
    :param photos: the photos
    :type photos: Iterable[Path]
    :param format_name: one of :data:`modules.encoders.TABLE`
    :type format_name: str
    :raises Unsuitable: with the reason
    """
    there = targets.facts(target)
    if there and any(os.path.samestat(there, own) for own in map(targets.facts, photos) if own):
        raise Unsuitable(i18n.text('cli.over_the_photo', path = target))
    if FORMATS.get(target.suffix.lower()) != format_name:
        extension = encoders.TABLE[format_name].extension
        raise Unsuitable(
            i18n.text(
                'cli.wrong_ending', path = target, extension = extension, format = format_name))
    if len(os.fsencode(target.name)) > targets.longest_name(target.parent):
        raise Unsuitable(i18n.text('cli.name_too_long', path = target))


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


def numbered(photos: Iterable[Path], output: Path | None,
             extension: str) -> Iterator[targets.Numbered]:
    """
    Where each clip goes: no two to the same place, and onto no file that is there already.

    :param photos: the photos
    :type photos: Iterable[Path]
    :param output: a folder, or None for beside each photo
    :type output: Path | None
    :param extension: of the clips, with its dot
    :type extension: str
    :yield: places, in the order of ``photos``
    :ytype: targets.Numbered
    """
    taken: set[str] = set()
    for photo in map(sources.name_of, photos):
        yield targets.Numbered(output or photo.parent, photo.stem, extension, taken)


def outputs(photos: list[Path], output: Path | None, extension: str) -> Iterator[Path]:
    """
    Names for clips that are free now, as :func:`numbered` finds them.

    :param photos: the photos
    :type photos: list[Path]
    :param output: a folder, or None for beside each photo
    :type output: Path | None
    :param extension: of the clips, with its dot
    :type extension: str
    :yield: paths, in the order of ``photos``
    :ytype: Path
    """
    for place in numbered(photos, output, extension):
        yield place.find()


def _one(animator: Animator, request: AnimationRequest, place: targets.Named | targets.Numbered,
         created: datetime | None, language: str) -> bool:
    """Make one clip; say what became of it."""
    name = request.photo
    try:
        with sources.kept(name) as photo:
            animator.reader.check(photo)
            try:
                path, done, note = _placed(animator, replace(request, photo = photo), place,
                                           created)
            except OSError as error:
                raise Unsuitable(
                    i18n.text(
                        'cli.not_written', photo = name, path = place,
                        reason = _reason(error))) from error
    except errors.Refusal as refusal:
        terminal.write_line(f'{name}: {refusal.text.in_(language)}', sys.stderr)
    except Unsuitable as error:
        terminal.write_line(error.args[0].in_(language), sys.stderr)
    except OSError as error:
        words = i18n.text('cli.unusable', path = name, reason = _reason(error))
        terminal.write_line(words.in_(language), sys.stderr)
    else:
        written = i18n.text('cli.written', path = path, seed = done.seed, engine = done.engine)
        terminal.write_line(written.in_(language), sys.stdout)
        if note:
            terminal.write_line(note.in_(language), sys.stderr)
        return True
    return False


def _placed(animator: Animator, request: AnimationRequest, place: targets.Named | targets.Numbered,
            created: datetime | None) -> tuple[Path, AnimationRequest, i18n.Text | None]:
    """Make a clip and put it into its place; the place, and what :func:`_made` tells."""
    place.folder.mkdir(parents = True, exist_ok = True)
    with tempfile.TemporaryDirectory(prefix = '.', dir = place.folder) as room:
        made = Path(room) / 'clip'
        request, note = _made(animator, request, made, created)
        return place.put(made), request, note


def _made(animator: Animator, request: AnimationRequest, path: Path,
          created: datetime | None) -> tuple[AnimationRequest, i18n.Text | None]:
    """Write a clip; the request as it was done, perhaps with another engine, and what had to be given up."""
    hindrances = []

    def work(stop_if_cancelled: StopIfCancelled) -> i18n.Text | None:
        with terminal.progress_bar(request.stem, True) as show:
            try:
                control = JobControl(show, stop_if_cancelled)
                return animator.animate(request, path, control, created = created).note
            except OSError as error:
                if error.errno not in errors.DISK_ERRORS:
                    raise
                # no accident of the program, so nothing for its log
                hindrances.append(error)
                return None

    def attempt() -> i18n.Text | None:
        note = interruptible(str(request.photo), work)
        if hindrances:
            raise hindrances[0]
        return note

    try:
        return request, attempt()
    except errors.EngineUnavailable as refusal:
        request, note = animator.redirected(request, refusal)
    return request, join_notes(note, attempt())


def _reason(error: OSError) -> object:
    """Why a file or folder cannot be used, as the system says it."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return i18n.text('cli.no_room') if is_full else error.strerror or error


def _refuse(words: i18n.Text, language: str) -> int:
    terminal.write_line(words.in_(language), sys.stderr)
    return 2
