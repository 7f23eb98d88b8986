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
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from PIL import Image

from modules import errors, weights
from modules.configuration import Configuration, ModelOptions
from modules.engines.common import (
    COMING,
    are_never_coming,
    first_line,
    missing_libraries,
    recorded_options,
)
from modules.engines.contract import EngineStatus, MemoryUse
from modules.engines.diffusion import decoding, devices, ladder, memory, selftest
from modules.engines.stable_video import checkpoints, fitting, pipeline, presets
from modules.engines.stable_video.sampler import Sampler
from modules.i18n import Text, text
from modules.install import installed_torch, unseen_gpu
from modules.progress import JobControl, OnProgress, Progress, StopIfCancelled

if TYPE_CHECKING:
    import numpy

    from modules.photos.sizes import Photo
    from modules.request import AnimationRequest

logger = logging.getLogger(__name__)

LIBRARIES = ('torch', 'diffusers', 'transformers', 'accelerate')

#: weights up to this many bytes make clips on a CPU in a bearable time
SMALL = 1 * memory.GIB

#: the model was trained for slower clips than this
GREATEST_CONDITIONING_FPS = 12

#: attributes of the options that change the result, besides those of every engine
OPTIONS = ('model_name', 'conditioning_fps', 'inference_steps', 'decode_chunk_size', 'unet',
           'image_fit')

#: why the engine cannot work → what can be fetched, so that it can
LACKS = {
    'engines.svd_no_libraries': 'libraries',
    'engines.svd_no_weights': 'model',
    'engines.svd_single_file': 'model'
}


class StableVideo:
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

    parameters = ('motion_bucket_id', 'noise_aug_strength', 'max_guidance_scale', 'seed', 'preset')
    is_closed = False
    is_generative = True

    def __init__(self,
                 configuration: Configuration,
                 find: Callable[[Configuration], Path | None] = weights.find,
                 are_libraries_coming: Callable[[], bool] = are_never_coming):
        self.model = configuration.model
        self._are_libraries_coming = are_libraries_coming
        #: ``cuda:N``, ``mps`` or ``cpu``; before loading, the kind that is expected
        self.device = devices.expected(self.model.device)
        self._find = lambda: find(configuration)
        self._find_single_file = partial(weights.find_single_file, configuration)
        self._sampler: Sampler | None = None
        self._failure: Text | None = None
        self._fits = False
        # a GPU without usable half precision computes at full
        self._is_full = False
        # widths and heights that are still to be compiled for
        self._to_compile: list[tuple[int, int]] = []
        self._gpu_bytes: int | None = None
        self._turn = threading.Lock()

    def status(self) -> EngineStatus:
        """
        Say what the engine can do now. The device is a guess until it was loaded once.

        :return: the status
        :rtype: EngineStatus
        """
        folder = self._find()
        reason = self._reason(folder)
        if folder is None or reason:
            lack = LACKS.get(reason.key, '') if reason else ''
            return EngineStatus(reason, lack, self._warnings(folder))
        return EngineStatus(
            warnings = self._warnings(folder),
            predict_memory = partial(self._predict_memory, folder))

    def _reason(self, folder: Path | None) -> Text | None:
        """Why the engine cannot work; None when it can."""
        if self._sampler is not None or self._failure:
            return self._failure
        if self._are_libraries_coming():
            return COMING
        missing = missing_libraries(*LIBRARIES)
        if missing:
            return text('engines.svd_no_libraries', libraries = ', '.join(missing))
        if checkpoints.has_few_steps(self.model.model_name, folder):
            return text(
                'engines.svd_few_steps', model = checkpoints.public_name(self.model.model_name))
        if folder is None:
            return self._no_weights()
        return self._too_slow(folder) or self._too_large(folder)

    def _no_weights(self) -> Text:
        file = self._find_single_file()
        if file:
            return text('engines.svd_single_file', file = file.name)
        return text('engines.svd_no_weights', model = self.model.model_name)

    def _warnings(self, folder: Path | None) -> tuple[Text, ...]:
        """What is set in a way that is known to give bad clips."""
        trained = self._needs(folder).trained_frames if folder else self.model.output_frames
        found = []
        if self.model.output_frames > trained:
            found.append(
                text('engines.warn_frames', frames = self.model.output_frames, trained = trained))
        if self.model.conditioning_fps > GREATEST_CONDITIONING_FPS:
            found.append(text('engines.warn_fps', fps = self.model.conditioning_fps))
        return tuple(found)

    def _predict_memory(self, folder: Path) -> MemoryUse | None:
        """How memory is used: before loading as it is expected, where that can be told."""
        needs, model = self._needs(folder), self._applied()
        if self._sampler is not None:
            rung, chunk = self._sampler.rung, self._sampler.chunk(model)
        else:
            there = self._expected_memory(needs)
            if there is None:
                return None
            is_set = self.model.memory != 'auto'
            rung = ladder.named(self.device, self.model.memory) if is_set else ladder.chosen(
                self.device, needs, there)
            chunk = model.decode_chunk_size or ladder.chunk_size(rung, needs, model.output_frames,
                                                                 there)
        return MemoryUse(rung.name, ladder.peak(rung, needs, chunk))

    def _expected_memory(self, needs: memory.Needs) -> int | None:
        """What weights and clips will be able to use; of a GPU only torch can tell, where it is imported."""
        torch = installed_torch.find_imported()
        if self.device.startswith('cuda'):
            device = devices.pick(self.model.device, torch) if torch else None
            return devices.free_memory(device, torch) if device else None
        there = devices.free_memory('cpu')
        return needs.weights + (there - needs.weights) // 2

    def load(self) -> None:
        """
        Import the libraries, find the device, load the weights; test whether a GPU can compute. Jobs wait for that,
        pages do not.

        :raises modules.errors.EngineUnavailable: when that fails for a reason a person can mend
        """
        with self._turn:
            if self._sampler is not None:
                return
            self._require()
            self._find_device()
            # what was expected of the device may have been wrong
            self._require()
            for warning in self._warnings(self._find()):
                logger.warning('%s', warning.in_('en'))
            self._sampler = self._loaded(self._find())

    def prepare(self, stop_if_cancelled: StopIfCancelled) -> None:
        """
        On a GPU, compile for the sizes that clips have; takes minutes where that was never done before.

        :param stop_if_cancelled: called between steps and layers; a compiler at work on one is waited for
        :type stop_if_cancelled: StopIfCancelled
        :raises modules.errors.Cancelled: when there is something better to do
        """
        preset = presets.TABLE[self.model.preset]
        while self._to_compile:
            with self._alone(stop_if_cancelled):
                stop_if_cancelled()
                # a compiler that fails is not asked again
                sizes, self._to_compile = self._to_compile, []
                logger.info('Compiling for %d x %d', *sizes[0])
                try:
                    is_done = self._sampler.compile(sizes[0], preset, self._applied(),
                                                    stop_if_cancelled)
                except errors.Cancelled:
                    self._to_compile = sizes
                    raise
                if is_done:
                    self._to_compile = sizes[1:]
                    logger.info('Compiled for %d x %d', *sizes[0])

    def settings(self, request: 'AnimationRequest') -> dict[str, object]:
        """
        What was set that changes the result, as it is used: ``DecodeChunkSize`` is the number of frames that are
        decoded at once, ``UNet`` whether compiled code had a part in the last clip, ``Memory`` the rung, ``ModelName``
        tells no folder of this machine. The rest is as it is set; what the preset makes of it follows from that.

        :param request: what was wanted
        :type request: AnimationRequest
        :return: keys of the INI's ``[ModelOptions]`` → values
        :rtype: dict[str, object]
        """
        as_used = {
            'ModelName': checkpoints.public_name(self.model.model_name),
            'DecodeChunkSize':
            self._sampler.chunk(presets.applied(self._preset(request), self.model)),
            'UNet': self._sampler.was_compiled,
            'Memory': self._sampler.rung.name
        }
        return {**recorded_options(self.model, *OPTIONS), **as_used}

    def animate(self, photo: 'Photo', request: 'AnimationRequest',
                control: JobControl) -> 'numpy.ndarray':
        """
        Make the frames of a clip; the engine must be loaded.

        :param photo: the upright photo
        :type photo: Photo
        :param request: what is wanted
        :type request: AnimationRequest
        :param control: is told after every step, and ends the work between steps
        :type control: JobControl
        :return: frames, uint8 [T, H, W, 3], H × W being the result's size
        :rtype: numpy.ndarray
        :raises modules.errors.Cancelled: when the job is no longer wanted
        :raises modules.errors.OutOfMemory: when memory does not suffice
        :raises modules.errors.EngineUnavailable: when the device fails; it stays so until the program is started anew
        :raises modules.errors.UnusablePicture: when a frame is black or no picture at all
        """
        model = presets.applied(self._preset(request), self.model)
        fit = fitting.plan(photo.full_size, model)
        image = fitting.to_model(photo.image, fit)

        def in_shape(progress):
            picture = progress.picture
            if picture is not None:
                picture = fitting.in_shape(picture, fit)
            control.report(dataclasses.replace(progress, picture = picture))

        def finish(part):
            return fitting.to_result(part, fit)

        return self.frames(image, request,
                           decoding.ClipControl(in_shape, control.stop_if_cancelled, finish))

    def frames(self, image: Image.Image, request: 'AnimationRequest',
               control: decoding.ClipControl) -> 'numpy.ndarray':
        """
        What the pipeline gives. When memory does not suffice, the clip is begun again one rung further down, and that
        is told.

        :param image: RGB, of the model's size
        :type image: Image.Image
        :param request: what is wanted
        :type request: AnimationRequest
        :param control: is told after every step, with a picture as large as the latents; ends the work between
            steps; finishes frames that are decoded, while the next ones are
        :type control: decoding.ClipControl
        :return: uint8 [T, H, W, 3]
        :rtype: numpy.ndarray
        :raises modules.errors.Cancelled: when the job is no longer wanted
        :raises modules.errors.OutOfMemory: when memory does not suffice on the last rung
        :raises modules.errors.EngineUnavailable: when the device fails
        """
        with self._alone(control.stop_if_cancelled):
            while True:
                frames, refusal = self._attempt(image, request, control)
                if refusal is None:
                    return frames
                if self._failure:
                    # there is nothing to put in order on a device that computes nothing any more
                    raise refusal
                # only here, after the exception and the tensors it held are gone
                self._sampler.restore()
                devices.release(self.device)
                if refusal is errors.Cancelled or not self._step_down(control.report):
                    raise refusal

    def _attempt(
        self, image: Image.Image, request: 'AnimationRequest', control: decoding.ClipControl
    ) -> 'tuple[numpy.ndarray | None, Exception | type[Exception] | None]':
        """Frames, or the exception that is to be raised once the one that was raised is gone."""
        import torch
        preset = self._preset(request)
        model = presets.applied(preset, self.model)
        try:
            with torch.no_grad():
                return self._sampler.make(image, request, preset, model, control), None
        except errors.Cancelled:
            return None, errors.Cancelled
        except (MemoryError, RuntimeError) as error:
            is_memory = devices.is_out_of_memory(error, torch)
            if not is_memory and not devices.has_failed(self.device, error, torch):
                raise
            # the error itself would keep its tensors in whatever keeps the record
            if is_memory:
                logger.warning('Out of memory: %s', str(error))
                return None, errors.OutOfMemory
            logger.error('The device has failed: %s', str(error))
            return None, self._failed(first_line(error))

    def _failed(self, words: str) -> errors.EngineUnavailable:
        """The device computes nothing any more in this process."""
        self._failure = text('engines.svd_device_failed', device = self.device, error = words)
        self._sampler = None
        self._to_compile.clear()
        return errors.EngineUnavailable('engine', engine = 'svd', reason = self._failure)

    def _step_down(self, on_progress: OnProgress) -> bool:
        """Take the next rung for good, and tell; False after the last."""
        lower = ladder.below(self.device, self._sampler.rung)
        if lower is None:
            return False
        logger.warning('Going on with Memory = %s', lower.name)
        self._sampler.take(lower)
        self._to_compile.clear()
        on_progress(Progress('loading', note = text('engines.svd_stepped_down', rung = lower.name)))
        return True

    def _preset(self, request: 'AnimationRequest') -> presets.Preset:
        return presets.TABLE[request.preset or self.model.preset]

    def _require(self) -> None:
        reason = self._reason(self._find())
        if reason:
            raise errors.EngineUnavailable('engine', engine = 'svd', reason = reason)

    @contextmanager
    def _alone(self, stop_if_cancelled: StopIfCancelled) -> Iterator[None]:
        """Two threads in one pipeline break each other's schedule, so they take turns."""
        while not self._turn.acquire(timeout = 0.2):
            stop_if_cancelled()
        try:
            # who had the turn before may have seen the device fail
            self._require()
            yield
        finally:
            try:
                if self._sampler is not None:
                    self._sampler.restore()
            finally:
                self._turn.release()

    def _find_device(self) -> None:
        """Import torch and ask it. What breaks here stays broken until the program is started anew."""
        pipeline.quieten()
        try:
            import torch
            from diffusers import StableVideoDiffusionPipeline  # noqa: F401
        except devices.IMPORT_ERRORS as error:
            logger.exception('torch or diffusers cannot be imported')
            self._fail(text('engines.svd_broken', error = first_line(error)))
        device = devices.pick(self.model.device, torch)
        if device is None:
            self._fail(text('engines.svd_no_device', device = self.model.device))
        logger.info('The device is %s', device)
        self.device, self._fits = device, False
        try:
            devices.prepare(device, torch)
            self._gpu_bytes = devices.total_memory(device, torch)
        except RuntimeError as error:
            logger.exception('%s does not answer', device)
            self._fail(text(selftest.CANNOT_COMPUTE, device = device, error = first_line(error)))

    def _loaded(self, folder: Path) -> 'Sampler':
        model, reason = self._applied(), None
        try:
            if self.device.partition(':')[0] in self.tested:
                sampler, reason = selftest.load_tested(partial(self._placed, folder), model)
            else:
                sampler = self._placed(folder)
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            logger.exception('%s cannot be loaded', folder)
            reason = text('engines.svd_cannot_load', folder = folder, error = first_line(error))
        if reason:
            self._fail(reason)
        if self.model.unet and not sampler.rung.takes_turns and pipeline.can_compile(self.device):
            width, height = model.image_prompt_width, model.image_prompt_height
            self._to_compile = list(dict.fromkeys([(width, height), (height, width)]))
        logger.info('Stable Video Diffusion is ready; Memory = %s', sampler.rung.name)
        return sampler

    def _placed(self, folder: Path, is_full: bool = False) -> 'Sampler':
        self._is_full = is_full
        files = folder, self._variant(folder), self.device
        pipe = pipeline.load(*files, is_full = is_full)
        return Sampler(pipe, self.device, self._rung(folder), partial(self._needs, folder),
                       partial(pipeline.encoder, *files, is_full = is_full))

    def _rung(self, folder: Path) -> ladder.Rung:
        """The rung that is set, or the fastest that fits what is free now."""
        if self.model.memory != 'auto':
            return ladder.named(self.device, self.model.memory)
        needs = self._needs(folder)
        # on a GPU nothing is placed yet; elsewhere the weights already are where they will be used
        weights_there = 0 if self.device.startswith('cuda') else needs.weights
        return ladder.chosen(self.device, needs, devices.for_clips(self.device, weights_there))

    def _applied(self) -> ModelOptions:
        return presets.applied(presets.TABLE[self.model.preset], self.model)

    def _too_slow(self, folder: Path) -> Text | None:
        """Left to itself, the program does not take an hour for a clip; its owner may want that."""
        if self.device != 'cpu' or self.model.engine == 'svd':
            return None
        is_small = memory.bytes_on_disk(folder, self._variant(folder)) <= SMALL
        if is_small:
            return None
        reason = unseen_gpu.explain(self.model.device)
        return text(
            'engines.svd_gpu_not_seen', reason = reason) if reason else text('engines.svd_slow')

    def _too_large(self, folder: Path) -> Text | None:
        """Asked until it fits once: what loading and running take must not count against the next request."""
        if self._fits:
            return None
        last = ladder.rungs(self.device)[-1]
        needed = ladder.peak(last, self._needs(folder))
        if self.device.startswith('cuda'):
            needed, there = needed + memory.OVERHEAD, self._gpu_bytes
        else:
            there = devices.free_memory('cpu')
        self._fits = there is None or needed <= there
        if self._fits:
            return None
        gigabytes = {'needed': f'{needed / 1e9:.1f}', 'there': f'{there / 1e9:.1f}'}
        return text('engines.svd_no_memory', **gigabytes)

    def _variant(self, folder: Path) -> str | None:
        """What computes at full precision takes the plain files where there are both."""
        return weights.variants(folder)[-1 if self._width() == 4 else 0]

    def _needs(self, folder: Path, model: ModelOptions | None = None) -> memory.Needs:
        model = model or self._applied()
        needs = memory.needs(folder, self._variant(folder), model, width = self._width())
        return devices.adjust(needs, self.device, self._width() == 2)

    def _width(self) -> int:
        """Bytes of a number that is computed with."""
        return 4 if self.device == 'cpu' or self._is_full else 2

    def _fail(self, reason: Text) -> NoReturn:
        self._failure = reason
        raise errors.EngineUnavailable('engine', engine = 'svd', reason = reason)
