#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From a photo of the model's size to frames, and compiling for that. Used by one thread at a time.

Libraries: numpy, Pillow; torch and diffusers, imported when the engine loads.
"""

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy
from PIL import Image

from modules import errors
from modules.configuration import ModelOptions
from modules.engines.diffusion import compiling, devices, faults, parts, toolchain
from modules.engines.diffusion.decoding import ClipControl
from modules.engines.diffusion.ladder import Rung
from modules.engines.diffusion.selftest import Testable
from modules.engines.stable_video import memory, preview, warmup
from modules.engines.stable_video.memory import Needs
from modules.engines.stable_video.placed import PlacedPipeline
from modules.engines.stable_video.presets import Applied
from modules.progress import Progress, StopIfCancelled

if TYPE_CHECKING:
    import torch

    from modules.request import AnimationRequest

logger = logging.getLogger(__name__)


class Sampler(Testable):
    """
    Makes frames.

    :param placed: the pipeline on its device
    :type placed: PlacedPipeline
    :param read_needs: options → what a clip needs
    :type read_needs: Callable[[ModelOptions], Needs]
    :param usual: what clips are made with where a request asks for nothing else
    :type usual: Applied
    """

    def __init__(self, placed: PlacedPipeline, read_needs: Callable[[ModelOptions], Needs],
                 usual: Applied):
        self.placed = placed
        self.device = placed.device
        # kept: the files of what is loaded may be taken away
        self._read_needs = functools.lru_cache(maxsize = 64)(read_needs)
        self._usual = usual
        # chosen once for each kind of clip: the frames depend on it
        self._chunks: dict[Needs, int] = {}
        #: widths and heights that are still to be compiled for
        self.sizes_to_compile = self._list_sizes()

    def _list_sizes(self) -> list[tuple[int, int]]:
        """List the sizes of usual clips, landscape and portrait, where code can be compiled."""
        model = self._usual.model
        if not model.unet or self.rung.is_offloaded or not toolchain.can_compile(self.device):
            return []
        width, height = model.image_prompt_width, model.image_prompt_height
        return list(dict.fromkeys([(width, height), (height, width)]))

    @property
    def rung(self) -> Rung:
        return self.placed.rung

    def find_lower_rung(self) -> Rung | None:
        return self.placed.find_lower_rung()

    def take(self, rung: Rung) -> None:
        self._chunks.clear()
        self.sizes_to_compile.clear()
        self.placed.take(rung)

    def restore(self) -> None:
        self.placed.restore()

    def choose_chunk(self, model: ModelOptions) -> int:
        """
        Choose how many frames are decoded at once.

        :param model: the options of a clip
        :type model: ModelOptions
        :return: 1 to all
        :rtype: int
        """
        if model.decode_chunk_size and not self.rung.is_single:
            return model.decode_chunk_size
        needs = self._read_needs(model)
        if needs not in self._chunks:
            available = self.read_available_memory(needs)
            self._chunks[needs] = memory.choose_chunk(self.rung, needs, model.output_frames,
                                                      available)
        return self._chunks[needs]

    def read_available_memory(self, needs: Needs) -> int:
        """
        Count the bytes that weights and clip may use, now that the weights are placed.

        :param needs: what a clip needs
        :type needs: Needs
        :return: bytes
        :rtype: int
        """
        weights = 0 if self.rung.is_offloaded else needs.weights
        return devices.read_usable_memory(self.device, weights)

    def make(self, image: Image.Image, request: 'AnimationRequest', applied: Applied,
             control: ClipControl) -> numpy.ndarray:
        """
        Make a clip; one longer than the model makes in one go in parts, each from the last frame of the one before.

        :param image: RGB, of the model's size
        :type image: Image.Image
        :param request: what is wanted
        :type request: AnimationRequest
        :param applied: what is given up for speed, the options and the length
        :type applied: Applied
        :param control: called after every step and every chunk of frames
        :type control: ClipControl
        :return: uint8 [T, H, W, 3]
        :rtype: numpy.ndarray
        :raises modules.errors.UnusablePicture: after the first step that gives no numbers, or when a frame is black
        """
        model = applied.model

        def make_part(number: int, before: numpy.ndarray | None,
                      control: ClipControl) -> numpy.ndarray:
            return self._make_part(
                image if before is None else Image.fromarray(before),
                replace(request, seed = request.seed + number), applied, control)

        made = parts.make_parts(make_part, applied.count_parts(), model.inference_steps, control)
        return made[:applied.frames]

    def _make_part(self, image: Image.Image, request: 'AnimationRequest', applied: Applied,
                   control: ClipControl) -> numpy.ndarray:
        model = applied.model

        def on_step_end(pipe, step, _time, tensors):
            if not tensors['latents'].isfinite().all():
                # no later step makes numbers of them
                raise errors.UnusablePicture
            picture = preview.preview_frame(pipe.scheduler, tensors)
            control.report(Progress('step', step + 1, model.inference_steps, picture))
            control.stop_if_cancelled()
            return tensors

        control.report(Progress('encoding'))
        try:
            self.placed.prepare(applied)
            latents = _denoise(self.placed.pipe, image, request, model, on_step_end)
        finally:
            self.placed.denoiser.end()
        return self.placed.decoder.decode(latents, self.choose_chunk(model), control)

    def gives_numbers(self) -> bool:
        model = self._usual.model
        image = _make_noise(model)
        self.placed.prepare(self._usual.without_preset())
        latents = self.placed.pipe(
            image,
            width = image.width,
            height = image.height,
            num_frames = model.output_frames,
            num_inference_steps = 1,
            output_type = 'latent').frames
        self.placed.denoiser.end()
        if not latents.isfinite().all():
            return False
        return self.placed.decoder.gives_numbers(latents[:, :self.choose_chunk(model)])

    def compile(self, size: tuple[int, int], applied: Applied,
                stop_if_cancelled: StopIfCancelled) -> bool:
        """
        Compile for clips of a size, by making a short one.

        :param size: width and height given to the model
        :type size: tuple[int, int]
        :param applied: what is given up for speed, and the options
        :type applied: Applied
        :param stop_if_cancelled: called before each layer and between steps; when it raises, what was compiled
            remains, and is used once all layers have code
        :type stop_if_cancelled: StopIfCancelled
        :return: False when memory does not suffice for it, and clips are computed without compiled code from now on
        :rtype: bool
        """
        devices.empty_cache(self.device)
        needs = self._read_needs(applied.model)
        chunk = warmup.choose_chunk(self.rung, needs, self.choose_chunk(applied.model),
                                    self.read_available_memory(needs))
        if chunk is None:
            return False
        steps = warmup.count_steps(applied.preset)
        clip = warmup.WarmupClip(size, applied.model.output_frames, steps, chunk)
        try:
            with self.placed.layers.compiling(stop_if_cancelled):
                self.placed.prepare(applied)
                clip.compute(self.placed.pipe, stop_if_cancelled)
            return True
        except (MemoryError, RuntimeError) as error:
            if not faults.is_out_of_memory(error):
                raise
            logger.warning('Nothing is compiled: %s', compiling.find_reason(error))
            self.placed.drop_compiled()
            return False
        finally:
            self.restore()
            devices.empty_cache(self.device)


def _make_noise(model: ModelOptions) -> Image.Image:
    """Make a landscape picture of noise: what is even may come out even by chance."""
    height, width = sorted((model.image_prompt_width, model.image_prompt_height))
    values = numpy.random.default_rng(0).integers(0, 256, (height, width, 3), numpy.uint8)
    return Image.fromarray(values)


def _denoise(pipe: Any, image: Image.Image, request: 'AnimationRequest', model: ModelOptions,
             on_step_end: Callable) -> 'torch.Tensor':
    """Make the clip's latents, [1, T, C, H / 8, W / 8]."""
    import torch
    width, height = image.size
    return pipe(
        image,
        height = height,
        width = width,
        num_frames = model.output_frames,
        num_inference_steps = model.inference_steps,
        fps = model.conditioning_fps,
        motion_bucket_id = request.motion_bucket_id,
        noise_aug_strength = request.noise_aug_strength,
        min_guidance_scale = 1.0,
        max_guidance_scale = request.max_guidance_scale,
        generator = torch.Generator().manual_seed(request.seed),
        callback_on_step_end = on_step_end,
        callback_on_step_end_tensor_inputs = preview.TENSORS,
        output_type = 'latent').frames
