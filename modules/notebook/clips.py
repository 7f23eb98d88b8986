#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Photos to clips without a server, shown while they form and when they are made.

Libraries: IPython; Colab's own, where they are there.
"""

import os
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.display import HTML, DisplayHandle, FileLink, Image, Video, display

from modules.configuration import Configuration
from modules.i18n import Text, text
from modules.notebook.surroundings import Reader, colab

if TYPE_CHECKING:
    import numpy

    from modules.clips.animator import Animator
    from modules.progress import Progress, StopIfCancelled
    from modules.request import AnimationRequest

#: a movie stays within the notebook
SHAPE = 'max-width: 100%; max-height: 640px'

#: seconds between two pictures of a clip that forms
PICTURES = 1.0


@dataclass(frozen = True)
class FinishedClip:
    """A clip that was made."""

    request: 'AnimationRequest'
    #: a folder of its frames, of which other files are made; goes with the clip
    kept: Path
    #: format → file
    files: dict[str, Path]


class ClipMaker:
    """
    Makes clips, and keeps them until others are made.

    :param options: the configuration
    :type options: Configuration
    :param reader: who is shown them
    :type reader: Reader
    :param folder: clips are written here
    :type folder: Path
    """

    def __init__(self, options: Configuration, reader: Reader, folder: Path):
        self._options = options
        self._reader = reader
        self._folder = folder
        self.clips: list[FinishedClip] = []
        self._animator: Animator | None = None

    @property
    def animator(self) -> 'Animator':
        """What does the work; made when it is first asked for, after everything is installed."""
        if not self._animator:
            from modules.clips.animator import Animator
            from modules.engines.registry import Engines
            from modules.photos.reader import PhotoReader
            reader = PhotoReader(self._options.web.max_pixels)
            self._animator = Animator(self._options, reader, Engines(self._options))
        return self._animator

    def use(self, options: Configuration) -> None:
        """
        Make further clips with other options; the clips that were made are kept.

        :param options: the configuration
        :type options: Configuration
        """
        self._options = options
        self.free_engine()

    def free_engine(self) -> None:
        """Let go of the engine and its memory; the next clip loads it again."""
        self._animator = None

    def animate(self, photos: list[Path], fields: Mapping[str, object]) -> None:
        """
        Make a clip of every photo, and show it.

        :param photos: files that can be read
        :type photos: list[Path]
        :param fields: as ``POST /generate`` has them
        :type fields: Mapping[str, object]
        :raises modules.notebook.surroundings.Stopped: when a field, a photo or the engine will not do
        """
        from modules import encoders
        from modules.commands.targets import free_paths
        from modules.request import draw_seed, parse_request, safe_stem
        self.clips, draws = [], not str(fields.get('seed', '')).strip()
        with self._reader.stopped_by_refusals():
            wanted = parse_request([(name, str(value)) for name, value in fields.items()], Path(),
                                   '', self.animator.engines.preferred)
            complete = self.animator.with_defaults(wanted)
            self._explain_engine(wanted.engine, complete.engine)
            extension = encoders.TABLE[wanted.format].extension
            self._folder.mkdir(parents = True, exist_ok = True)
            paths = free_paths(photos, self._folder, extension)
            for number, (photo, path) in enumerate(zip(photos, paths, strict = False)):
                seed = draw_seed() if number and draws else wanted.seed
                stem = safe_stem(photo.name)
                request = replace(complete, photo = photo, stem = stem, seed = seed)
                self.clips.append(self._make(request, path))

    def _explain_engine(self, asked: str, chosen: str) -> None:
        engines = self.animator.engines
        reasons = engines.reasons()
        better = list(reasons)[:list(reasons).index(chosen)]
        # where a model makes the clip, nobody misses another one
        reason = reasons[better[-1]] if better else None
        if asked == 'auto' and reason and not engines.describe(chosen).is_generative:
            engine = text(f'page.{chosen}')
            self._reader.say(text('notebook.engine', engine = engine, reason = reason))

    def _make(self, request: 'AnimationRequest', path: Path) -> FinishedClip:
        from modules import terminal
        from modules.jobs.work import run_interruptibly
        from modules.progress import JobControl
        clip = FinishedClip(request, Path(tempfile.mkdtemp(prefix = '.', dir = self._folder)), {})
        weakref.finalize(clip, shutil.rmtree, clip.kept, ignore_errors = True)
        shown = DisplayHandle()
        shown.display(HTML(''))

        def work(stop_if_cancelled: 'StopIfCancelled') -> Text | None:
            with terminal.progress_bar(
                    request.stem, True, language = self._reader.language,
                    file = sys.stdout) as move:
                control = JobControl(_reporter(move, shown), stop_if_cancelled)
                return self.animator.animate(request, made, control, keep = clip.kept).note

        made = clip.kept / 'clip'
        note = run_interruptibly(str(request.photo), work)
        clip.files[request.format] = made.replace(path)
        shown.update(self._movie(clip))
        self._reader.say(
            text('cli.written', path = path, seed = request.seed, engine = request.engine))
        if note:
            self._reader.say(note)
        return clip

    def _movie(self, clip: FinishedClip) -> Video:
        """
        A clip as a notebook shows it: a movie of the same frames, whatever was asked for. Every browser plays it, and
        a GIF would swell the notebook tenfold.
        """
        movie = clip.files.get('mp4') or self._encode(clip, 'mp4')
        return Video(
            str(movie),
            embed = True,
            mimetype = 'video/mp4',
            html_attributes = f'controls autoplay loop muted playsinline style="{SHAPE}"')

    def _encode(self, clip: FinishedClip, format_name: str) -> Path:
        path = clip.kept / 'other'
        self.animator.encode(replace(clip.request, format = format_name), clip.kept, path)
        return path

    def _file(self, clip: FinishedClip, format_name: str) -> Path:
        """A clip's file, made of its frames where it is not there yet."""
        from modules import encoders
        from modules.commands.targets import free_paths
        if format_name not in clip.files:
            extension = encoders.TABLE[format_name].extension
            path = next(free_paths([clip.request.photo], self._folder, extension))
            clip.files[format_name] = self._encode(clip, format_name).replace(path)
        return clip.files[format_name]

    def download(self, format_name: str = '') -> None:
        """
        Bring the clips to the reader's own machine.

        :param format_name: another format than the one they were made in; no engine is needed for it
        :type format_name: str
        :raises modules.notebook.surroundings.Stopped: when there is none
        """
        if not self.clips:
            raise self._reader.stop(text('notebook.no_clip'))
        for clip in self.clips:
            with self._reader.stopped_by_refusals():
                path = self._file(clip, format_name or clip.request.format)
            if services := colab():
                services.files.download(str(path))
            else:
                display(FileLink(os.path.relpath(path)))


def _reporter(move: Callable[['Progress'], None],
              shown: DisplayHandle) -> Callable[['Progress'], None]:
    """Make what moves a bar, and shows now and then how the clip forms."""
    last = 0.0

    def report(progress: 'Progress') -> None:
        nonlocal last
        move(progress)
        if progress.picture is not None and time.monotonic() > last + PICTURES:
            last = time.monotonic()
            shown.update(Image(_picture(progress.picture), format = 'jpeg'))

    return report


def _picture(frame: 'numpy.ndarray') -> bytes:
    from modules.clips.animator import preview_jpeg
    return preview_jpeg(frame)
