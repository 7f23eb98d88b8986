#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The one pipeline, shared by the server, the shell and the workers: photo → frames → file, and, where frames were kept,
from frames to any other file without an engine.

Libraries: Pillow.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from modules import VERSION, errors
from modules.clips import lossless
from modules.clips.notes import explain_loop, explain_unused, join_notes
from modules.clips.provenance import Provenance
from modules.clips.writer import FRAMES, PROVENANCE, ClipWriter, OpenFrames
from modules.configuration import OPTIONS, Configuration
from modules.engines.contract import Engine
from modules.engines.registry import Engines
from modules.i18n import Text, text
from modules.photos.reader import Reader
from modules.progress import JobControl, Progress, StopIfCancelled
from modules.request import PARAMETERS, AnimationRequest

if TYPE_CHECKING:
    import numpy

#: a small picture of a clip, which is kept beside its frames
PREVIEW = 'preview.jpg'
#: pixels of the small picture's longer side
PREVIEW_SIDE = 512


@dataclass(frozen = True)
class Outcome:
    """What became of a clip, besides its file."""

    #: what was given up
    note: Text | None = None
    #: the model's name, if one was at work
    model: str | None = None


class Animator:
    """
    Turns requests into files.

    :param configuration: the options
    :type configuration: Configuration
    :param reader: opens photos
    :type reader: Reader
    :param engines: make frames
    :type engines: Engines
    :param open_frames: opens frames that were kept
    :type open_frames: OpenFrames
    """

    def __init__(self,
                 configuration: Configuration,
                 reader: Reader,
                 engines: Engines,
                 open_frames: OpenFrames = lossless.KeptFrames):
        self.model = configuration.model
        self.output = configuration.output
        self.reader = reader
        self.engines = engines
        self._writer = ClipWriter(configuration, reader, open_frames)

    def load(self) -> None:
        """
        Make the preferred engine ready, so that the first job need not wait for it.

        :raises modules.errors.EngineUnavailable: when it cannot work here
        """
        self.engines.load_preferred()

    def prepare(self, stop_if_cancelled: StopIfCancelled) -> None:
        """
        Use time in which no job waits for what makes later ones faster.

        :param stop_if_cancelled: called between steps
        :type stop_if_cancelled: StopIfCancelled
        :raises modules.errors.Cancelled: when there is something better to do
        """
        self.engines.prepare(stop_if_cancelled)

    def with_defaults(self, request: AnimationRequest) -> AnimationRequest:
        """
        Fill in what the request leaves to the options.

        :param request: what is wanted
        :type request: AnimationRequest
        :return: the same, with an engine that can work now, a place for the still and a preset
        :rtype: AnimationRequest
        :raises modules.errors.EngineUnavailable: when the engine cannot work here, with the reason
        :raises modules.errors.OutOfRange: when the clip would be longer than the owner allows
        """
        if request.seconds and request.seconds > self.model.max_seconds:
            raise errors.OutOfRange('seconds', minimum = 1, maximum = f'{self.model.max_seconds:g}')
        engine = self.engines.choose(request.engine)
        key_frame = request.key_frame or self.output.key_frame
        preset = request.preset or self.model.preset
        is_auto = request.is_auto or request.engine == 'auto'
        return replace(
            request, engine = engine, key_frame = key_frame, preset = preset, is_auto = is_auto)

    def redirect(self, request: AnimationRequest,
                 refusal: errors.EngineUnavailable) -> tuple[AnimationRequest, Text]:
        """
        Give a request to another engine, where the choice was left to the program.

        :param request: what is wanted
        :type request: AnimationRequest
        :param refusal: why its engine cannot do it any more
        :type refusal: errors.EngineUnavailable
        :return: the same with another engine, and a note that says so
        :rtype: tuple[AnimationRequest, Text]
        :raises modules.errors.EngineUnavailable: when no other one may or can
        """
        reasons = {**self.engines.own_reasons(), request.engine: refusal.text}
        engine = self.engines.find_best(reasons)
        if engine is None or not request.is_auto:
            raise refusal
        note = text('engines.redirected', reason = refusal.details['reason'], engine = engine)
        return replace(request, engine = engine), note

    def animate(self,
                request: AnimationRequest,
                path: Path,
                control: JobControl,
                *,
                created: datetime | None = None,
                keep: Path | None = None) -> Outcome:
        """
        Make one clip and write it.

        :param request: what is wanted; its ``engine`` is one that :meth:`Engines.choose` returned
        :type request: AnimationRequest
        :param path: the file to write; on failure it may be there in part
        :type path: Path
        :param control: gets a report after every step, and can stop the work between steps
        :type control: JobControl
        :param created: when it was asked for, with its time zone; now, if not given
        :type created: datetime | None
        :param keep: a folder for what :meth:`encode` needs to make other files
        :type keep: Path | None
        :return: what is not in the file
        :rtype: Outcome
        :raises modules.errors.Refusal: when the photo or the engine fails for a known reason
        :raises modules.errors.Cancelled: when the job is no longer wanted
        """
        control.report(Progress('loading'))
        engine = self._get_engine(request, control.stop_if_cancelled)
        control.stop_if_cancelled()
        # twice the pixels of the result, so that a camera that moves closer still finds detail
        usual = 2 * self.model.image_prompt_width * self.model.image_prompt_height
        photo = self.reader.read(request.photo, engine.photo_pixels or usual)
        notes = [explain_unused(engine, request, self.model), explain_loop(engine, request)]

        def report(progress: Progress) -> None:
            if progress.note:
                notes.append(progress.note)
            control.report(progress)

        with _folder(keep, path.parent) as folder:
            frames = engine.animate(photo, request, replace(control, report = report))
            lossless.write(_each(frames, folder / PREVIEW, control), folder / FRAMES)
            control.stop_if_cancelled()
            made = self._made(engine, request, created)
            made.write(folder / PROVENANCE)
            notes.append(self._writer.write(request, folder, made, path, control))
        return Outcome(join_notes(*notes), made.model)

    def _get_engine(self, request: AnimationRequest, stop_if_cancelled: StopIfCancelled) -> Engine:
        try:
            return self.engines.get(request.engine, stop_if_cancelled)
        except errors.EngineUnavailable:
            # that it is slow here has become known just now, which whoever names it puts up with
            if request.is_auto or not self.engines.status(request.engine).slow:
                raise
            return self.engines.get(request.engine, stop_if_cancelled)

    def encode(self, request: AnimationRequest, kept: Path, path: Path) -> Text | None:
        """
        Write another file of frames that were kept; no engine is needed.

        :param request: its ``format`` is the one wanted now
        :type request: AnimationRequest
        :param kept: the folder :meth:`animate` kept them in
        :type kept: Path
        :param path: the file to write; on failure it may be there in part
        :type path: Path
        :return: what was given up
        :rtype: Text | None
        :raises modules.errors.Refusal: when the photo cannot be read any more
        """
        made = Provenance.read(kept / PROVENANCE)
        made.settings['parameters']['format'] = request.format
        made.settings['options']['OutputOptions'] = self._writer.options()
        return self._writer.write(request, kept, made, path, JobControl())

    def _made(self, engine: Engine, request: AnimationRequest,
              created: datetime | None) -> Provenance:
        created = created or datetime.now().astimezone().replace(microsecond = 0)
        settings = {
            'software': f'turn-live-photos {VERSION}',
            'parameters': parameters_of(request),
            'options': {
                **_by_section(engine.settings(request)), 'OutputOptions': self._writer.options()
            }
        }
        is_blurred = request.blur > 0 and 'blur' in engine.parameters
        is_closed = engine.is_closed or (engine.can_close and request.loop == 'model')
        return Provenance(settings, created.isoformat(), engine.fps, is_closed,
                          engine.is_generative, is_blurred)


def _by_section(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Put what an engine has used under the sections of the INI."""
    # an engine may have a key that [ModelOptions] has too
    sections = {key: section for section, table in reversed(OPTIONS.items()) for key in table}
    found: dict[str, dict[str, Any]] = {'ModelOptions': {}}
    for key, value in settings.items():
        section, _, name = key.rpartition('.')
        found.setdefault(section or sections[name], {})[name] = value
    return found


def parameters_of(request: AnimationRequest) -> dict[str, Any]:
    """
    The parameters of a request, by their names in forms.

    :param request: a request
    :type request: AnimationRequest
    :return: name → value
    :rtype: dict[str, Any]
    """
    return {parameter.name: getattr(request, parameter.name) for parameter in PARAMETERS}


def preview_jpeg(frame: 'numpy.ndarray') -> bytes:
    """
    Make a picture that is quick to load.

    :param frame: uint8 [H, W, 3]
    :type frame: numpy.ndarray
    :return: JPEG, at most :data:`PREVIEW_SIDE` pixels a side
    :rtype: bytes
    """
    picture = Image.fromarray(frame)
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    content = io.BytesIO()
    picture.save(content, 'JPEG', quality = 85)
    return content.getvalue()


def _each(frames: 'Iterable[numpy.ndarray]', preview: Path,
          control: JobControl) -> 'Iterator[numpy.ndarray]':
    """Frames on their way to the disk; of the first, a small picture is kept."""
    for number, frame in enumerate(frames):
        control.stop_if_cancelled()
        if not number:
            preview.write_bytes(preview_jpeg(frame))
        yield frame


@contextlib.contextmanager
def _folder(keep: Path | None, beside: Path) -> Iterator[Path]:
    """Where frames are kept: for good, or for as long as a file is made of them."""
    if keep:
        yield keep
        return
    with tempfile.TemporaryDirectory(dir = beside) as scratch:
        yield Path(scratch)
