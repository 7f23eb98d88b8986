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
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from PIL import Image

from modules import errors, weights
from modules.configuration import ROOT, Configuration
from modules.engines import OnProgress, Progress, StopIfCancelled, missing_libraries, settings
from modules.engines.stable_video import decoding, devices, fitting, memory, pipeline, preview
from modules.i18n import Text, text

if TYPE_CHECKING:
    import numpy
    import torch
    from diffusers import StableVideoDiffusionPipeline

    from modules.parameters import AnimationRequest
    from modules.photos import Photo

logger = logging.getLogger(__name__)

LIBRARIES = ('torch', 'diffusers', 'transformers', 'accelerate')

#: weights up to this many bytes make clips on a CPU in a bearable time
SMALL = 1 * memory.GIB

#: the model was trained for slower clips than this
GREATEST_CONDITIONING_FPS = 12

#: attributes of the options that change the result, besides those of every engine
OPTIONS = ('model_name', 'conditioning_fps', 'inference_steps', 'decode_chunk_size', 'unet',
           'image_fit')

#: a model's place on the hub
HUB_NAME = r'[A-Za-z0-9][\w.-]*/[\w.-]+'

#: what broken installations of torch and diffusers raise when they are imported
IMPORT_ERRORS = (ImportError, OSError, RuntimeError, AttributeError, ValueError)


class StableVideo:
    """
    Stable Video Diffusion.

    :param configuration: the options
    :type configuration: Configuration
    :param find: configuration → the folder of a whole model, or None
    :type find: Callable[[Configuration], Path | None]
    """

    parameters = ('motion_bucket_id', 'noise_aug_strength', 'max_guidance_scale', 'seed')
    is_closed = False
    is_generative = True

    def __init__(self,
                 configuration: Configuration,
                 find: Callable[[Configuration], Path | None] = weights.find):
        self.model = configuration.model
        #: ``cuda:N``, ``mps`` or ``cpu``; before loading, the kind that is expected
        self.device = devices.expected(self.model.device)
        #: frames decoded at once
        self.chunk = self.model.decode_chunk_size or self.model.output_frames
        self._find = lambda: find(configuration)
        self._pipe: StableVideoDiffusionPipeline | None = None
        self._failure: Text | None = None
        self._fits = False
        self._is_compiled = False
        self._gpu_bytes: int | None = None
        self._turn = threading.Lock()

    def unavailable(self) -> Text | None:
        """
        Why the engine cannot work here now. The device is a guess until it was loaded once.

        :return: the reason, or None when it can
        :rtype: Text | None
        """
        if self._pipe is not None or self._failure:
            return self._failure
        missing = missing_libraries(*LIBRARIES)
        if missing:
            return text('engines.svd_no_libraries', libraries = ', '.join(missing))
        folder = self._find()
        if folder is None:
            return text('engines.svd_no_weights', model = self.model.model_name)
        return self._too_slow(folder) or self._too_large(folder)

    def warnings(self) -> list[Text]:
        """
        What is set in a way that is known to give bad clips.

        :return: one text for each; none where there is no model yet
        :rtype: list[Text]
        """
        folder = self._find()
        trained = self._needs(folder).trained_frames if folder else self.model.output_frames
        found = []
        if self.model.output_frames > trained:
            found.append(
                text('engines.warn_frames', frames = self.model.output_frames, trained = trained))
        if self.model.conditioning_fps > GREATEST_CONDITIONING_FPS:
            found.append(text('engines.warn_fps', fps = self.model.conditioning_fps))
        return found

    def load(self) -> None:
        """
        Import the libraries, find the device, load the weights; on a GPU, compile and warm up, which takes minutes
        when it compiles. Jobs wait for that, pages do not.

        :raises modules.errors.EngineUnavailable: when that fails for a reason a person can mend
        """
        with self._turn:
            if self._pipe is not None:
                return
            self._require()
            self._find_device()
            # what was expected of the device may have been wrong
            self._require()
            for warning in self.warnings():
                logger.warning('%s', warning.in_('en'))
            self._pipe = self._loaded(self._find())

    def settings(self) -> dict[str, object]:
        """
        What was set that changes the result, as it is used: ``DecodeChunkSize`` is the number of frames that are
        decoded at once, ``UNet`` whether the UNet is compiled, ``ModelName`` tells no folder of this machine.

        :return: keys of the INI's ``[ModelOptions]`` → values
        :rtype: dict[str, object]
        """
        as_used = {
            'ModelName': _public_name(self.model.model_name),
            'DecodeChunkSize': self.chunk,
            'UNet': self._is_compiled
        }
        return {**settings(self.model, *OPTIONS), **as_used}

    def animate(self, photo: 'Photo', request: 'AnimationRequest', on_progress: OnProgress,
                stop_if_cancelled: StopIfCancelled) -> 'numpy.ndarray':
        """
        Make the frames of a clip; the engine must be loaded.

        :param photo: the upright photo
        :type photo: Photo
        :param request: what is wanted
        :type request: AnimationRequest
        :param on_progress: told after every step
        :type on_progress: OnProgress
        :param stop_if_cancelled: called between steps
        :type stop_if_cancelled: StopIfCancelled
        :return: frames, uint8 [T, H, W, 3], H × W being the result's size
        :rtype: numpy.ndarray
        :raises modules.errors.Cancelled: when the job is no longer wanted
        :raises modules.errors.OutOfMemory: when memory does not suffice
        :raises modules.errors.UnusablePicture: when a frame is black or no picture at all
        """
        fit = fitting.plan(photo.full_size, self.model)
        image = fitting.to_model(photo.image, fit)

        def in_shape(progress):
            picture = progress.picture
            if picture is not None:
                picture = fitting.in_shape(picture, fit)
            on_progress(dataclasses.replace(progress, picture = picture))

        frames = self.frames(image, request, in_shape, stop_if_cancelled)
        return fitting.to_result(frames, fit)

    def frames(self, image: Image.Image, request: 'AnimationRequest', on_progress: OnProgress,
               stop_if_cancelled: StopIfCancelled) -> 'numpy.ndarray':
        """
        What the pipeline gives, unscaled.

        :param image: RGB, of the model's size
        :type image: Image.Image
        :param request: what is wanted
        :type request: AnimationRequest
        :param on_progress: told after every step, with a picture as large as the latents
        :type on_progress: OnProgress
        :param stop_if_cancelled: called between steps
        :type stop_if_cancelled: StopIfCancelled
        :return: uint8 [T, H, W, 3]
        :rtype: numpy.ndarray
        :raises modules.errors.Cancelled: when the job is no longer wanted
        :raises modules.errors.OutOfMemory: when memory does not suffice
        """
        import torch

        def on_step_end(pipe, step, _time, tensors):
            picture = preview.forming(pipe.scheduler, tensors)
            on_progress(Progress('step', step + 1, self.model.inference_steps, picture))
            stop_if_cancelled()
            return tensors

        try:
            with self._alone(stop_if_cancelled), torch.no_grad():
                on_progress(Progress('encoding'))
                return decoding.decode(self._pipe, self._latents(image, request, on_step_end),
                                       self.chunk, on_progress, stop_if_cancelled)
        except errors.Cancelled:
            refusal = errors.Cancelled
        except (MemoryError, RuntimeError) as error:
            if not devices.is_out_of_memory(error, torch):
                raise
            # the error itself would keep its tensors in whatever keeps the record
            logger.warning('Out of memory: %s', str(error))
            refusal = errors.OutOfMemory
        # only here, after the exception and the tensors it held are gone
        devices.release(self.device, torch)
        raise refusal

    def _require(self) -> None:
        reason = self.unavailable()
        if reason:
            raise errors.EngineUnavailable('engine', engine = 'svd', reason = reason)

    def _latents(self, image: Image.Image, request: 'AnimationRequest',
                 on_step_end: Callable) -> 'torch.Tensor':
        """The denoised clip, [1, T, C, H / 8, W / 8]."""
        import torch
        width, height = image.size
        return self._pipe(
            image,
            height = height,
            width = width,
            num_frames = self.model.output_frames,
            num_inference_steps = self.model.inference_steps,
            fps = self.model.conditioning_fps,
            motion_bucket_id = request.motion_bucket_id,
            noise_aug_strength = request.noise_aug_strength,
            min_guidance_scale = 1.0,
            max_guidance_scale = request.max_guidance_scale,
            generator = torch.Generator().manual_seed(request.seed),
            callback_on_step_end = on_step_end,
            callback_on_step_end_tensor_inputs = preview.TENSORS,
            output_type = 'latent').frames

    @contextmanager
    def _alone(self, stop_if_cancelled: StopIfCancelled) -> Iterator[None]:
        """Two threads in one pipeline break each other's schedule, so they take turns."""
        while not self._turn.acquire(timeout = 0.2):
            stop_if_cancelled()
        try:
            yield
        finally:
            try:
                pipeline.restore(self._pipe)
            finally:
                self._turn.release()

    def _find_device(self) -> None:
        """Import torch and ask it. What breaks here stays broken until the program is started anew."""
        try:
            import torch
            from diffusers import StableVideoDiffusionPipeline  # noqa: F401
        except IMPORT_ERRORS as error:
            logger.exception('torch or diffusers cannot be imported')
            self._fail(text('engines.svd_broken', error = _in_one_line(error)))
        device = devices.pick(self.model.device, torch)
        if device is None:
            self._fail(text('engines.svd_no_device', device = self.model.device))
        logger.info('The device is %s', device)
        self.device, self._fits = device, False
        self._gpu_bytes = devices.total_memory(device, torch)

    def _loaded(self, folder: Path) -> 'StableVideoDiffusionPipeline':
        import torch
        needs = self._needs(folder)
        try:
            pipe = pipeline.load(folder, self._variant(folder), self.device)
            is_resident = pipeline.place(pipe, self.device, needs)
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            logger.exception('%s cannot be loaded', folder)
            self._fail(
                text('engines.svd_cannot_load', folder = folder, error = _in_one_line(error)))
        if self.model.decode_chunk_size is None:
            # on a CPU everything else lives in the same memory
            free = devices.free_memory(self.device, torch) - memory.OVERHEAD
            usable = free if self.device.startswith('cuda') else free // 2
            self.chunk = memory.chunk_size(self.model.output_frames, usable, needs.frame)
        if self.device.startswith('cuda'):
            is_to_compile = self.model.unet and is_resident and pipeline.can_compile(self.device)
            self._is_compiled = pipeline.warm_up(pipe, self.model, is_to_compile = is_to_compile)
        logger.info('Stable Video Diffusion is ready; %d frames are decoded at once', self.chunk)
        return pipe

    def _too_slow(self, folder: Path) -> Text | None:
        """Left to itself, the program does not take an hour for a clip; its owner may want that."""
        if self.device != 'cpu' or self.model.engine == 'svd':
            return None
        is_small = memory.bytes_on_disk(folder, self._variant(folder)) <= SMALL
        return None if is_small else text('engines.svd_slow')

    def _too_large(self, folder: Path) -> Text | None:
        """Asked until it fits once: what loading and running take must not count against the next request."""
        if self._fits:
            return None
        needs = self._needs(folder)
        if self.device.startswith('cuda'):
            # parts can take turns on a GPU, but the UNet must fit in whole
            needed, there = needs.unet + memory.OVERHEAD, self._gpu_bytes
        else:
            needed, there = needs.resident, devices.free_memory('cpu')
        self._fits = there is None or needed <= there
        if self._fits:
            return None
        gigabytes = {'needed': f'{needed / 1e9:.1f}', 'there': f'{there / 1e9:.1f}'}
        return text('engines.svd_no_memory', **gigabytes)

    def _variant(self, folder: Path) -> str | None:
        """A CPU computes at full precision, so it takes the plain files where there are both."""
        return weights.variants(folder)[-1 if self.device == 'cpu' else 0]

    def _needs(self, folder: Path) -> memory.Needs:
        width = 4 if self.device == 'cpu' else 2
        return memory.needs(folder, self._variant(folder), self.model, width = width)

    def _fail(self, reason: Text) -> NoReturn:
        self._failure = reason
        raise errors.EngineUnavailable('engine', engine = 'svd', reason = reason)


def _public_name(name: str) -> str:
    """A model's name as it may be told to anybody: that on the hub, or its folder without what leads there."""
    is_folder = any((place / name).is_dir() for place in (Path.cwd(), ROOT))
    if re.fullmatch(HUB_NAME, name, re.ASCII) and not is_folder:
        return name
    return re.split(r'[/\\]', name.rstrip('/\\'))[-1]


def _in_one_line(error: Exception) -> str:
    """The first words of an exception, which may go on for pages."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]
