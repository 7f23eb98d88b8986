#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The engine: one pipeline, loaded on the worker, used by one thread at a time.

Its eager frames are those of a plain call of diffusers' ``StableVideoDiffusionPipeline`` with the same checkpoint,
fitted photo, size, parameters and seed, bit for bit. Random numbers are drawn on the CPU, so that a seed means the
same noise on every device.

Libraries: torch and diffusers, imported when it loads; numpy, Pillow.
"""

import dataclasses
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from modules import errors
from modules.configuration import Configuration
from modules.engines.common import COMING, are_never_coming, missing_libraries, recorded_options
from modules.engines.contract import Engine, EngineStatus
from modules.engines.diffusion import fitting, loader
from modules.engines.diffusion.checkpoints import get_public_name
from modules.engines.diffusion.decoding import ClipControl
from modules.engines.diffusion.holder import ModelHolder
from modules.engines.stable_video import checkpoints, pipeline, presets
from modules.engines.stable_video.budget import MemoryBudget
from modules.engines.stable_video.files import VIDEO, find_checkpoint
from modules.engines.stable_video.placed import PlacedPipeline
from modules.engines.stable_video.sampler import Sampler
from modules.i18n import Text, text
from modules.progress import JobControl, StopIfCancelled

if TYPE_CHECKING:
    import numpy

    from modules.photos.sizes import Photo
    from modules.request import AnimationRequest

logger = logging.getLogger(__name__)

LIBRARIES = ('torch', 'diffusers', 'transformers', 'accelerate')

#: attributes of the options that change the result, besides those of every engine
OPTIONS = ('model_name', 'output_frames', 'conditioning_fps', 'inference_steps',
           'decode_chunk_size', 'unet', 'image_fit')

#: why the engine cannot work → what can be fetched, so that it can
LACKS = {
    'engines.no_libraries': 'libraries',
    'engines.no_weights': VIDEO.key,
    'engines.svd_single_file': VIDEO.key
}


class StableVideo(Engine):
    """
    Stable Video Diffusion.

    :param configuration: the options
    :type configuration: Configuration
    :param find: configuration → the folder of a whole model, or None
    :type find: Callable[[Configuration], Path | None]
    :param are_libraries_coming: whether libraries are being installed at this moment
    :type are_libraries_coming: Callable[[], bool]
    """

    #: kinds of devices whose faults would show in the first clip; a processor that cannot compute runs no program
    tested = ('cuda', 'mps')

    parameters = ('motion_bucket_id', 'noise_aug_strength', 'max_guidance_scale', 'seed', 'preset',
                  'seconds')
    is_closed = False
    is_generative = True

    def __init__(self,
                 configuration: Configuration,
                 find: Callable[[Configuration], Path | None] = find_checkpoint,
                 are_libraries_coming: Callable[[], bool] = are_never_coming):
        self.model = configuration.model
        self.fps = self.model.output_fps
        usual = presets.apply(self.model.preset, self.model, self.model.seconds)
        self.usual_seconds: float = round(usual.frames / self.fps, 2)
        self.budget = MemoryBudget(self.model)
        self._are_libraries_coming = are_libraries_coming
        self._find = partial(find, configuration)
        self._explain_checkpoint = partial(checkpoints.explain_refusal, configuration)
        self.holder: ModelHolder[Sampler] = ModelHolder('svd')
        #: what was loaded, and what is known to make its clips bad
        self._folder: Path | None = None
        self._warnings: tuple[Text, ...] = ()

    def status(self) -> EngineStatus:
        # a loaded engine does not depend on the disk its files came from; of any other the device is a guess
        if failure := self.holder.failure:
            return EngineStatus(failure, LACKS.get(failure.key, ''), self._warnings)
        sampler = self.holder.model
        if self._folder and sampler is not None:
            return EngineStatus(
                warnings = self._warnings,
                predict_memory = partial(self.budget.predict_use, self._folder, sampler))
        folder = self._find()
        reason = self._explain(folder)
        if folder is None or reason:
            lack = LACKS.get(reason.key, '') if reason else ''
            return EngineStatus(reason, lack, checkpoints.list_warnings(self.model, folder))
        return EngineStatus(
            warnings = checkpoints.list_warnings(self.model, folder),
            predict_memory = partial(self.budget.predict_use, folder, None))

    def _explain(self, folder: Path | None) -> Text | None:
        """Explain why the engine cannot work; None when it can."""
        if self._are_libraries_coming():
            return COMING
        missing = missing_libraries(*LIBRARIES)
        if missing:
            return text(
                'engines.no_libraries', engine = text('page.svd'), libraries = ', '.join(missing))
        reason = self._explain_checkpoint(folder)
        return self.budget.explain_refusal(folder) if folder and not reason else reason

    def load(self) -> None:
        self.holder.load(self._load)

    def _load(self) -> Sampler:
        self._require_checkpoint()
        pipeline_class = 'StableVideoDiffusionPipeline'
        self.budget.use_device(*loader.find_device(self.model.device, pipeline_class))
        # the device may not be the one that was expected
        folder = self._folder = self._require_checkpoint()
        self._warnings = checkpoints.list_warnings(self.model, folder)
        for warning in self._warnings:
            logger.warning('%s', warning.in_('en'))
        is_tested = self.budget.device.partition(':')[0] in self.tested
        sampler = loader.load_model(self._load_sampler, folder, is_tested)
        logger.info('Stable Video Diffusion is ready; Memory = %s', sampler.rung.name)
        return sampler

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

        def report_in_shape(progress):
            picture = progress.picture
            if picture is not None:
                picture = fitting.restore_shape(picture, fit)
            control.report(dataclasses.replace(progress, picture = picture))

        clip_control = ClipControl(report_in_shape, control.stop_if_cancelled,
                                   partial(fitting.fit_to_result, fit = fit))
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

    def _require_checkpoint(self) -> Path:
        folder = self._find()
        reason = self.holder.failure or self._explain(folder)
        if folder is None or reason:
            raise errors.EngineUnavailable('engine', engine = 'svd', reason = reason)
        return folder
