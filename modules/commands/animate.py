#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``animate``: photos → clips without a server, one after the other, with a progress bar.

Libraries: none but the standard one.
"""

import errno
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from modules import encoders, errors, i18n, terminal
from modules.clips.animator import Animator
from modules.clips.notes import join_notes
from modules.commands import sources, targets
from modules.commands.arguments import Arguments
from modules.commands.output import (
    FORMATS,
    OutputRefused,
    check_file,
    check_folder,
    output_file,
    output_folder,
)
from modules.configuration import Configuration
from modules.engines.registry import Engines
from modules.jobs.work import run_interruptibly
from modules.photos.reader import PhotoReader
from modules.progress import JobControl, StopIfCancelled
from modules.request import AnimationRequest, draw_seed, parse_request, safe_stem


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
    :param language: of what is printed
    :type language: str
    :return: 0 when every photo became a clip, 1 when some did not, 2 when nothing could be started
    :rtype: int
    :raises terminal.OutputFailed: when results cannot be printed any more; the clip in question is there
    """
    try:
        photos = list(sources.find_photos(arguments.photos))
        target = output_file(arguments.output, len(photos))
        fields = list(_collect_fields(target, arguments))
        wanted = parse_request(fields, Path(), '', animator.engines.preferred)
        wanted = animator.with_defaults(wanted)
        check_folder(target.parent if target else output_folder(arguments.output))
        if target:
            check_file(target, photos, wanted.format)
    except errors.Refusal as refusal:
        return _print_refusal(refusal.text, language)
    except OutputRefused as error:
        return _print_refusal(error.text, language)
    except OSError as error:
        words = i18n.text('cli.unusable', path = error.filename, reason = _reason(error))
        return _print_refusal(words, language)
    if not photos:
        return _print_refusal(i18n.text('cli.no_photos'), language)
    extension = encoders.TABLE[wanted.format].extension
    places: Iterable[targets.Target]
    if target:
        places = [targets.Named(target)]
    else:
        named = map(sources.result_name, photos)
        places = targets.number_targets(named, output_folder(arguments.output), extension)
    draws = not any(name == 'seed' for name, _value in fields)
    created = arguments.again.created if arguments.again else None
    failed = 0
    with terminal.photo_bar(len(photos)) as count:
        for photo, place in zip(photos, places, strict = True):
            seed = draw_seed() if draws else wanted.seed
            stem = safe_stem(sources.result_name(photo).name)
            request = replace(wanted, photo = photo, stem = stem, seed = seed)
            failed += not _animate_one(animator, request, place, created, language)
            count()
    return int(failed > 0)


def _collect_fields(target: Path | None, arguments: Arguments) -> Iterator[tuple[str, str]]:
    """
    Yield the parameters: those that are given, the format by the ending of the file, and those of the result that is
    made again, each where the ones before say nothing.
    """
    yield from arguments.fields
    given = {name for name, _value in arguments.fields}
    ending = FORMATS.get(target.suffix.lower()) if target else None
    if ending and 'format' not in given:
        yield 'format', ending
        given.add('format')
    if arguments.again:
        yield from (field for field in arguments.again.fields if field[0] not in given)


def _animate_one(animator: Animator, request: AnimationRequest, place: targets.Target,
                 created: datetime | None, language: str) -> bool:
    """Make one clip and print its place; return whether that went well."""
    name = request.photo
    try:
        with sources.rereadable(name) as photo:
            animator.reader.check(photo)
            try:
                path, done, note = _make_and_place(animator, replace(request, photo = photo), place,
                                                   created)
            except OSError as error:
                raise OutputRefused(
                    i18n.text(
                        'cli.not_written', photo = name, path = place,
                        reason = _reason(error))) from error
    except errors.Refusal as refusal:
        terminal.write_line(f'{name}: {refusal.text.in_(language)}', sys.stderr)
    except OutputRefused as error:
        terminal.write_line(error.text.in_(language), sys.stderr)
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


def _make_and_place(animator: Animator, request: AnimationRequest, place: targets.Target,
                    created: datetime | None) -> tuple[Path, AnimationRequest, i18n.Text | None]:
    """Make a clip and put it into its place; return the place and what :func:`_make` returns."""
    place.folder.mkdir(parents = True, exist_ok = True)
    with tempfile.TemporaryDirectory(prefix = '.', dir = place.folder) as scratch:
        made = Path(scratch) / 'clip'
        request, note = _make(animator, request, made, created)
        return place.put(made), request, note


def _make(animator: Animator, request: AnimationRequest, path: Path,
          created: datetime | None) -> tuple[AnimationRequest, i18n.Text | None]:
    """Write a clip; return the request as it was done, perhaps with another engine, and what was given up."""
    failures: list[OSError] = []

    def work(stop_if_cancelled: StopIfCancelled) -> i18n.Text | None:
        with terminal.progress_bar(request.stem, True) as show:
            try:
                control = JobControl(show, stop_if_cancelled)
                return animator.animate(request, path, control, created = created).note
            except OSError as error:
                if error.errno not in errors.DISK_ERRORS:
                    raise
                # not the program's fault, so nothing for its log
                failures.append(error)
                return None

    def attempt() -> i18n.Text | None:
        note = run_interruptibly(str(request.photo), work)
        if failures:
            raise failures[0]
        return note

    try:
        return request, attempt()
    except errors.EngineUnavailable as refusal:
        request, note = animator.redirect(request, refusal)
    return request, join_notes(note, attempt())


def _reason(error: OSError) -> object:
    """Return why a file or folder cannot be used, as the system says it."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return i18n.text('cli.no_room') if is_full else error.strerror or error


def _print_refusal(words: i18n.Text, language: str) -> int:
    terminal.write_line(words.in_(language), sys.stderr)
    return 2
