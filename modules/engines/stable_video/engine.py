#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The engine: one pipeline, loaded on the worker, used by one thread at a time.

Its eager frames are those of a plain call of diffusers' ``StableVideoDiffusionPipeline`` with the same checkpoint,
fitted photo, size, parameters and seed, bit for bit. Random numbers are drawn on the CPU, so that a seed means the
same noise on every device.

Libraries: torch and diffusers, imported when it loads; numpy, Pillow.
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from modules import errors
from modules.configuration import Configuration
from modules.engines.common import are_never_coming, recorded_options
from modules.engines.diffusion import fitting
from modules.engines.diffusion.checkpoints import get_public_name
from modules.engines.diffusion.decoding import ClipControl
from modules.engines.diffusion.engine import VideoEngine
from modules.engines.stable_video import checkpoints, pipeline, presets
from modules.engines.stable_video.budget import MemoryBudget
from modules.engines.stable_video.files import VIDEO
from modules.engines.stable_video.placed import PlacedPipeline
from modules.engines.stable_video.sampler import Sampler
from modules.i18n import Text
from modules.progress import JobControl, StopIfCancelled

if TYPE_CHECKING:
    import numpy

    from modules.photos.sizes import Photo
    from modules.request import AnimationRequest

logger = logging.getLogger(__name__)

#: attributes of the options that change the result, besides those of every engine
OPTIONS = ('model_name', 'output_frames', 'conditioning_fps', 'inference_steps',
           'decode_chunk_size', 'unet', 'image_fit')

#: why the engine cannot work → what can be fetched, so that it can
FETCHABLE = {
    'engines.no_libraries': 'libraries',
    'engines.no_weights': VIDEO.key,
    'engines.svd_single_file': VIDEO.key
}


class StableVideo(VideoEngine[Sampler]):
    """
    Stable Video Diffusion.

    :param configuration: the options
    :type configuration: Configuration
    :param find: configuration → the folder of a whole model, or None
    :type find: Callable[[Configuration], Path | None] | None
    :param are_libraries_coming: whether libraries are being installed at this moment
    :type are_libraries_coming: Callable[[], bool]
    """

    name = 'svd'
    pipeline = 'StableVideoDiffusionPipeline'
    libraries = ('torch', 'diffusers', 'transformers', 'accelerate')
    files = VIDEO
    fetchable = FETCHABLE
    parameters = ('motion_bucket_id', 'noise_aug_strength', 'max_guidance_scale', 'seed', 'preset',
                  'seconds')

    def __init__(self,
                 configuration: Configuration,
                 find: Callable[[Configuration], Path | None] | None = None,
                 are_libraries_coming: Callable[[], bool] = are_never_coming):
        self.budget: MemoryBudget
        super().__init__(configuration, MemoryBudget(configuration.model), find,
                         are_libraries_coming)
        self.fps = self.model.output_fps
        usual = presets.apply(self.model.preset, self.model, self.model.seconds)
        self.usual_seconds: float = round(usual.frames / self.fps, 2)
        self.longest_seconds: float = round(usual.model.output_frames / self.fps, 2)

    def explain_checkpoint(self, folder: Path | None) -> Text | None:
        return checkpoints.explain_refusal(self.configuration, folder)

    def read_warnings(self, folder: Path | None) -> tuple[Text, ...]:
        return checkpoints.list_warnings(self.model, folder)

    def _load_sampler(self, folder: Path, is_full: bool) -> Sampler:
        self.budget.is_full = is_full
        source = self.budget.find_source(folder)
        load_encoder = partial(pipeline.load_encoder, source)
        pipe = pipeline.load_pipeline(source)
        # what is free counts once the weights have taken their room in main memory
        rung = self.budget.choose_rung(folder)
        placed = PlacedPipeline(pipe, self.budget.device, rung, load_encoder)
        usual = presets.apply(self.model.preset, self.model)
        return Sampler(placed, partial(self.budget.read_needs, folder), usual)

    def prepare(self, stop_if_cancelled: StopIfCancelled) -> None:
        # minutes for each size where that was never done before; a compiler at work on a layer is waited for
        usual = presets.apply(self.model.preset, self.model)
        while self.holder.model is not None and self.holder.model.sizes_to_compile:
            with self.holder.use(stop_if_cancelled) as sampler:
                stop_if_cancelled()
                # a compiler that fails is not tried again
                sizes, sampler.sizes_to_compile = sampler.sizes_to_compile, []
                logger.info('Compiling for %d x %d', *sizes[0])
                try:
                    is_done = sampler.compile(sizes[0], usual, stop_if_cancelled)
                except errors.Cancelled:
                    sampler.sizes_to_compile = sizes
                    raise
                if is_done:
                    sampler.sizes_to_compile = sizes[1:]
                    logger.info('Compiled for %d x %d', *sizes[0])

    def settings(self, request: 'AnimationRequest') -> dict[str, object]:
        applied = self._apply(request, self.model.seconds)
        usual = applied.frames / self.fps
        sampler = self.holder.require()
        # what was used where that differs from what was set: no path on this machine, the number of frames decoded at
        # once, whether compiled code had a part in the last clip, the rung. What the preset makes of it follows from it
        as_used = {
            'ModelName': get_public_name(self.model.model_name),
            'DecodeChunkSize': sampler.choose_chunk(applied.model),
            'UNet': sampler.placed.was_compiled,
            'Memory': sampler.rung.name,
            # shorter clips are not asked for in this way
            'Seconds': usual if usual >= 1 else None
        }
        return {**recorded_options(self.model, *OPTIONS), **as_used}

    def animate(self, photo: 'Photo', request: 'AnimationRequest',
                control: JobControl) -> 'numpy.ndarray':
        applied = self._apply(request, None)
        fit = fitting.plan(photo.full_size, applied.model)
        clip_control = fitting.control_in_shape(control, fit)
        return self.make_frames(fitting.fit_to_model(photo.image, fit), request, clip_control)

    def make_frames(self, image: Image.Image, request: 'AnimationRequest',
                    control: ClipControl) -> 'numpy.ndarray':
        """
        Make the frames of a clip from a photo of the model's size. Where memory does not suffice, the clip is begun
        again one rung further down, with a note.

        :param image: RGB, of the model's size
        :type image: Image.Image
        :param request: what is wanted
        :type request: AnimationRequest
        :param control: called after every step, with a picture as large as the latents, and every chunk of frames
        :type control: ClipControl
        :return: uint8 [T, H, W, 3], as the control finished them
        :rtype: numpy.ndarray
        :raises modules.errors.Cancelled: when the job is no longer wanted
        :raises modules.errors.OutOfMemory: when memory does not suffice on the last rung
        :raises modules.errors.EngineUnavailable: when the device fails
        """
        applied = self._apply(request, request.seconds or self.model.seconds)
        return self.holder.make_clip(lambda sampler: sampler.make(image, request, applied, control),
                                     control)

    def _apply(self, request: 'AnimationRequest', seconds: float | None) -> presets.Applied:
        return presets.apply(request.preset or self.model.preset, self.model, seconds)
