#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The one pipeline, shared by the server, the shell and the workers: photo → frames → file.

Libraries: Pillow.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import ExifTags

from modules import encoders
from modules.configuration import Configuration
from modules.encoders import sequence
from modules.engines import Engine, Engines, OnProgress, Progress, StopIfCancelled
from modules.parameters import AnimationRequest
from modules.photos import PhotoReader, cropped

if TYPE_CHECKING:
    import numpy


class Animator:
    """
    Turns requests into files.

    :param configuration: the options
    :type configuration: Configuration
    :param reader: opens photos
    :type reader: PhotoReader
    :param engines: make frames
    :type engines: Engines
    """

    def __init__(self, configuration: Configuration, reader: PhotoReader, engines: Engines):
        self.model = configuration.model
        self.output = configuration.output
        self.reader = reader
        self.engines = engines

    def load(self) -> None:
        """
        Make the preferred engine ready, so that the first job need not wait for it.

        :raises modules.errors.EngineUnavailable: when it cannot work here
        """
        self.engines.get(self.engines.choose(self.engines.preferred))

    def animate(self, request: AnimationRequest, path: Path, on_progress: OnProgress,
                stop_if_cancelled: StopIfCancelled) -> None:
        """
        Make one clip and write it.

        :param request: what is wanted; its ``engine`` is one that :meth:`Engines.choose` returned
        :type request: AnimationRequest
        :param path: the file to write; on failure it may be there in part
        :type path: Path
        :param on_progress: told after every step
        :type on_progress: OnProgress
        :param stop_if_cancelled: called between steps
        :type stop_if_cancelled: StopIfCancelled
        :raises modules.errors.Refusal: when the photo or the engine fails for a known reason
        :raises modules.errors.Cancelled: when the job is no longer wanted
        """
        on_progress(Progress('loading'))
        engine = self.engines.get(request.engine)
        stop_if_cancelled()
        # twice the pixels of the result, so that a camera that moves closer still finds detail
        pixels = 2 * self.model.image_prompt_width * self.model.image_prompt_height
        photo = self.reader.read(request.photo, pixels)
        frames = engine.animate(photo, request, on_progress, stop_if_cancelled)
        stop_if_cancelled()
        on_progress(Progress('writing'))
        kind = encoders.TABLE[request.format]
        kind.encode(self._in_order(self._clip(frames, engine, request), engine, request), path)

    def _clip(self, frames: 'numpy.ndarray', engine: Engine,
              request: AnimationRequest) -> encoders.Clip:
        """The frames with all that a format may want to know of them; the photo is read again only if one does."""

        def read_still() -> encoders.Still:
            facts = self.reader.exif(request.photo)
            if not self.output.keep_location:
                facts.pop(ExifTags.IFD.GPSInfo, None)
            image = self.reader.read(request.photo).image
            return encoders.Still(cropped(image, (frames.shape[2], frames.shape[1])), facts)

        return encoders.Clip(
            frames, self.model.output_fps, read_still, is_generated = engine.is_generative)

    def _in_order(self, clip: encoders.Clip, engine: Engine,
                  request: AnimationRequest) -> encoders.Clip:
        """What is played once is arranged around its still, what is played over and over is made to loop."""
        if encoders.TABLE[request.format].has_still:
            key_frame = request.key_frame or self.output.key_frame
            return sequence.around_still(clip, key_frame, is_closed = engine.is_closed)
        return sequence.looped(clip, request.loop, is_closed = engine.is_closed)
