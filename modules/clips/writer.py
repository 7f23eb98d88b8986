#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From frames that were kept to a file of any kind; no engine is needed.

Libraries: numpy, for types alone; Pillow.
"""

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import ExifTags, Image

from modules import encoders
from modules.clips import order, smooth
from modules.clips.lossless import KeptFrames
from modules.clips.provenance import Provenance, settings_to_text
from modules.configuration import Configuration
from modules.encoders.frames import Frames, LazyFrames
from modules.i18n import Text
from modules.photos import stills
from modules.photos.reader import Reader
from modules.progress import JobControl, Progress
from modules.request import AnimationRequest

if TYPE_CHECKING:
    import numpy

#: what is kept of a clip: its frames, and how it came about
FRAMES, PROVENANCE = 'frames.mkv', 'settings.json'

OpenFrames = Callable[[Path], AbstractContextManager[Frames]]


class ClipWriter:
    """
    Writes clips.

    :param configuration: the options
    :type configuration: Configuration
    :param reader: opens photos
    :type reader: Reader
    :param open_frames: opens kept frames
    :type open_frames: OpenFrames
    """

    def __init__(self,
                 configuration: Configuration,
                 reader: Reader,
                 open_frames: OpenFrames = KeptFrames):
        self.output = configuration.output
        self.smooth = configuration.model.smooth
        self.reader = reader
        self._open_frames = open_frames

    def options(self) -> dict[str, object]:
        """
        Collect the options that change a file, for the settings inside files.

        :return: keys of the INI's ``[OutputOptions]`` → values
        :rtype: dict[str, object]
        """
        return {'GifMaxBytes': self.output.gif_max_bytes, 'KeepLocation': self.output.keep_location}

    def write(self, request: AnimationRequest, kept: Path, made: Provenance, path: Path,
              control: JobControl) -> Text | None:
        """
        Write a file of frames that were kept.

        :param request: what is wanted
        :type request: AnimationRequest
        :param kept: the folder of the frames
        :type kept: Path
        :param made: how they came about
        :type made: Provenance
        :param path: the file to write; on failure it may be there in part
        :type path: Path
        :param control: gets a report for every frame, and can stop the work between frames
        :type control: JobControl
        :return: what was given up
        :rtype: Text | None
        :raises modules.errors.Refusal: when the photo cannot be read any more
        :raises modules.errors.Cancelled: when the file is no longer wanted
        """
        kind = encoders.TABLE[request.format]
        # the date is in live photos anyway; in others it would be the only thing that makes each of them different
        dated = {'created': made.created} if kind.has_still else {}
        factor = self._choose_factor(request, made.fps)
        parameters = made.settings['parameters'] | {'smooth': factor}
        with self._open_frames(kept / FRAMES) as frames:
            clip = encoders.Clip(
                frames,
                made.fps,
                lambda: self._still(request, frames, made),
                is_generated = made.is_generated,
                settings = settings_to_text(made.settings | {'parameters': parameters} | dated),
                created = datetime.fromisoformat(made.created),
                max_bytes = self.output.gif_max_bytes)
            clip = self._in_order(clip, request, is_closed = made.is_closed)
            is_ordered = request.loop in ('pingpong', 'crossfade')
            loops = not kind.has_still and (made.is_closed or is_ordered)
            clip = smooth.smooth_frames(clip, factor, loops = loops)
            if kind.has_own_rate:
                clip = order.lower_rate(clip, made.output_fps * factor)
            return kind.encode(replace(clip, frames = _followed(clip.frames, control)), path)

    def _choose_factor(self, request: AnimationRequest, fps: float) -> int:
        """How many frames are shown for each that was made: where nobody says, more only where it costs little."""
        wanted = request.smooth
        if wanted is None:
            costs_much = encoders.TABLE[request.format].has_own_rate
            wanted = 1 if costs_much or fps >= smooth.FLUENT else self.smooth
        return smooth.choose_factor(wanted, fps)

    def _still(self, request: AnimationRequest, frames: Frames, made: Provenance) -> encoders.Still:
        """The photo in full, read again only for the formats that hold it; the first frame where that differs."""
        still = self.reader.still(request.photo, (frames.shape[2], frames.shape[1]))
        if made.is_photo_changed:
            still = stills.encode(Image.fromarray(frames[0]), still.exif)
        if self.output.keep_location:
            return still
        facts = {name: tags for name, tags in still.exif.items() if name != ExifTags.IFD.GPSInfo}
        return replace(still, exif = facts)

    def _in_order(self, clip: encoders.Clip, request: AnimationRequest, *,
                  is_closed: bool) -> encoders.Clip:
        """What is played once is arranged around its still, what is played over and over is made to loop."""
        if encoders.TABLE[request.format].has_still:
            key_frame = request.key_frame or self.output.key_frame
            return order.arrange_around_still(clip, key_frame, is_closed = is_closed)
        return order.loop_frames(clip, request.loop, is_closed = is_closed)


def _followed(frames: Frames, control: JobControl) -> Frames:
    """Frames that report how many have been written, and end the work where it is no longer wanted."""
    read, total = itertools.count(1), len(frames)

    def follow(number: int) -> 'numpy.ndarray':
        control.stop_if_cancelled()
        # some are read more than once
        control.report(Progress('writing', min(next(read), total), total))
        return frames[number]

    control.report(Progress('writing', 0, total))
    return LazyFrames(frames.shape, follow)
