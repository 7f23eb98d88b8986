#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A pipeline on its rung of the ladder, from a photo of the model's size to frames. Used by one thread at a time.

Libraries: numpy, Pillow; torch and diffusers, imported when the engine loads.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL import Image

from modules import errors
from modules.configuration import ModelOptions
from modules.engines.diffusion import attention, compiling, decoding, devices, ladder, preview
from modules.engines.diffusion.ladder import Rung
from modules.engines.diffusion.memory import Needs
from modules.engines.diffusion.rehearsal import Rehearsal, steps_of
from modules.engines.diffusion.streaming import Streaming
from modules.engines.stable_video import pipeline, presets
from modules.engines.stable_video.denoising import Denoiser
from modules.engines.stable_video.embeddings import Embeddings
from modules.engines.stable_video.presets import Preset
from modules.progress import Progress, StopIfCancelled

if TYPE_CHECKING:
    import numpy
    import torch
    from diffusers import StableVideoDiffusionPipeline

    from modules.request import AnimationRequest

logger = logging.getLogger(__name__)


class Sampler:
    """
    Makes frames.

    :param pipe: the pipeline, in main memory
    :type pipe: StableVideoDiffusionPipeline
    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param rung: the way memory is used
    :type rung: Rung
    :param needs: options → what a clip needs
    :type needs: Callable[[ModelOptions], Needs]
    :param load_encoder: reads the image encoder from its files once more
    :type load_encoder: Callable[[], torch.nn.Module]
    """

    def __init__(self, pipe: 'StableVideoDiffusionPipeline', device: str, rung: Rung,
                 needs: Callable[[ModelOptions], Needs], load_encoder: Callable[[],
                                                                                'torch.nn.Module']):
        self.pipe = pipe
        self.device = device
        self._layers = compiling.Layers(pipe.unet, pipe.vae.decoder)
        self.denoiser = Denoiser(pipe.unet, self._layers)
        attention.slice_where_needed(pipe, device)
        decoder = pipe.vae.decoder.forward = compiling.Compilable(pipe.vae.decoder.forward,
                                                                  self._layers)
        self._compilables = [*self.denoiser.compilables, decoder]
        self.embeddings = Embeddings(pipe, load_encoder)
        self._needs = needs
        #: the checkpoint's own
        self.scheduler = pipe.scheduler
        # chosen once for each kind of clip: the frames depend on it
        self._chunks: dict[Needs, int] = {}
        self.rung: Rung | None = None
        self._streaming: Streaming | None = None
        while not self._has_room(rung):
            # only here, after the exception and what it held are gone
            self.pipe.to('cpu')
            devices.release(device)
            rung = ladder.below(device, rung)
            logger.warning('Going on with Memory = %s', rung.name)

    def take(self, rung: Rung) -> None:
        """
        Go to a rung; only downwards once clips were made.

        :param rung: the way memory is to be used
        :type rung: Rung
        """
        self.denoiser.is_split = rung.is_split
        self._chunks.clear()
        if rung.is_split:
            self.embeddings.release()
        if rung.takes_turns:
            # weights that move are no constants of compiled code
            self.stay_eager()
        if self.rung is None or _placement(rung) != _placement(self.rung):
            self._streaming = pipeline.place(self.pipe, self.device, rung)
        # known only now: where weights find no room, they are still to be placed
        self.rung = rung

    def _has_room(self, rung: Rung) -> bool:
        """Go to a rung; False when the weights themselves find no room there, and may further down."""
        import torch
        try:
            self.take(rung)
            return True
        except (MemoryError, RuntimeError) as error:
            is_last = ladder.below(self.device, rung) is None
            if is_last or not devices.is_out_of_memory(error, torch):
                raise
            logger.warning('Out of memory: %s', str(error))
            return False

    def chunk(self, model: ModelOptions) -> int:
        """
        How many frames are decoded at once.

        :param model: the options of a clip
        :type model: ModelOptions
        :return: 1 to all
        :rtype: int
        """
        if model.decode_chunk_size and not self.rung.is_single:
            return model.decode_chunk_size
        needs = self._needs(model)
        if needs not in self._chunks:
            there = self.there(needs)
            self._chunks[needs] = ladder.chunk_size(self.rung, needs, model.output_frames, there)
        return self._chunks[needs]

    def there(self, needs: Needs) -> int:
        """
        Memory that weights and clip may use, now that the weights are where they are.

        :param needs: what a clip needs
        :type needs: Needs
        :return: bytes
        :rtype: int
        """
        return devices.for_clips(self.device, 0 if self.rung.takes_turns else needs.weights)

    def make(self, image: Image.Image, request: 'AnimationRequest', preset: Preset,
             model: ModelOptions, control: decoding.ClipControl) -> 'numpy.ndarray':
        """
        Make a clip.

        :param image: RGB, of the model's size
        :type image: Image.Image
        :param request: what is wanted
        :type request: AnimationRequest
        :param preset: what is given up for speed
        :type preset: Preset
        :param model: the options as the preset changes them
        :type model: ModelOptions
        :param control: is told after every step, ends the work between steps, and finishes frames that are decoded
        :type control: decoding.ClipControl
        :return: uint8 [T, H, W, 3]
        :rtype: numpy.ndarray
        :raises modules.errors.UnusablePicture: after the first step that gives no numbers, or when a frame is black
        """

        def on_step_end(pipe, step, _time, tensors):
            if not tensors['latents'].isfinite().all():
                # no later step makes numbers of them
                raise errors.UnusablePicture
            picture = preview.forming(pipe.scheduler, tensors)
            control.report(Progress('step', step + 1, model.inference_steps, picture))
            control.stop_if_cancelled()
            return tensors

        control.report(Progress('encoding'))
        try:
            self._prepare(preset, model)
            latents = self._latents(image, request, model, on_step_end)
        finally:
            self.denoiser.end()
        return decoding.decode(self.pipe, latents, self.chunk(model), control)

    @property
    def was_compiled(self) -> bool:
        """Whether compiled code had a part in the last clip."""
        return any(part.was_compiled for part in self._compilables)

    def is_sound(self, image: Image.Image, model: ModelOptions) -> bool:
        """
        Make one step of a clip, and decode as many of its frames as are decoded at once.

        :param image: RGB, of the model's size
        :type image: Image.Image
        :param model: the options
        :type model: ModelOptions
        :return: whether all that came out are finite numbers
        :rtype: bool
        """
        self._prepare(Preset(), model)
        latents = self.pipe(
            image,
            width = image.width,
            height = image.height,
            num_frames = model.output_frames,
            num_inference_steps = 1,
            output_type = 'latent').frames
        self.denoiser.end()
        if not latents.isfinite().all():
            return False
        return decoding.has_numbers(self.pipe, latents[:, :self.chunk(model)])

    def compile(self, size: tuple[int, int], preset: Preset, model: ModelOptions,
                stop_if_cancelled: StopIfCancelled) -> bool:
        """
        Compile for clips of a size, by making a short one.

        :param size: width and height given to the model
        :type size: tuple[int, int]
        :param preset: what is given up for speed
        :type preset: Preset
        :param model: the options as the preset changes them
        :type model: ModelOptions
        :param stop_if_cancelled: called before each layer and between steps; when it raises, what was compiled
            remains, and is used once all layers have code
        :type stop_if_cancelled: StopIfCancelled
        :return: False when memory does not suffice for it, and clips are computed as written from now on
        :rtype: bool
        """
        import torch
        devices.release(self.device)
        needs = self._needs(model)
        chunk = compiling.decoded_at_once(self.rung, needs, self.chunk(model), self.there(needs))
        if chunk is None:
            return False
        played = Rehearsal(size, model.output_frames, steps_of(preset), chunk)
        try:
            with self._layers.rehearsing(stop_if_cancelled):
                self._prepare(preset, model)
                played.play(self.pipe, stop_if_cancelled)
            return True
        except (MemoryError, RuntimeError) as error:
            if not devices.is_out_of_memory(error, torch):
                raise
            logger.warning('Nothing is compiled: %s', compiling.find_reason(error))
            self.stay_eager()
            return False
        finally:
            self.restore()
            devices.release(self.device)

    def stay_eager(self) -> None:
        """Compute as written from now on, where it was compiled."""
        for part in self._compilables:
            part.forget()

    def restore(self) -> None:
        """Put all in order after a clip, whatever cut that short."""
        self.denoiser.end()
        pipeline.restore(self.pipe)
        if self._streaming:
            self._streaming.release()

    def _prepare(self, preset: Preset, model: ModelOptions) -> None:
        for part in self._compilables:
            part.was_compiled = False
        self.denoiser.begin(preset)
        self.pipe.scheduler = presets.solver(preset, self.scheduler)
        if self.rung.is_chunked:
            self.pipe.unet.enable_forward_chunking(forward_chunk(model.output_frames), dim = 0)

    def _latents(self, image: Image.Image, request: 'AnimationRequest', model: ModelOptions,
                 on_step_end: Callable) -> 'torch.Tensor':
        """The denoised clip, [1, T, C, H / 8, W / 8]."""
        import torch
        width, height = image.size
        return self.pipe(
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


def _placement(rung: Rung) -> tuple[bool, bool]:
    return rung.takes_turns, rung.is_streamed


def forward_chunk(frames: int) -> int:
    """
    How many frames feed-forward layers take at once where memory is short: with a third of them, other layers need
    the most, so fewer would only cost time. Only equal parts are possible.

    :param frames: frames of the clip
    :type frames: int
    :return: a divisor of ``frames``
    :rtype: int
    """
    return max(n for n in range(1, max(1, frames // 3) + 1) if frames % n == 0)
