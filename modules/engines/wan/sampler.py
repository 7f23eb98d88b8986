#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From a photo of the model's size and texts to frames. Used by one thread at a time.

Libraries: numpy, Pillow; torch and diffusers, imported when the engine loads.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy
from PIL import Image

from modules import errors
from modules.engines.diffusion import attention, parts
from modules.engines.diffusion.decoding import ClipControl, Decoder
from modules.engines.diffusion.ladder import Rung
from modules.engines.diffusion.selftest import Testable
from modules.engines.wan import preview
from modules.engines.wan.clip import PlannedClip
from modules.engines.wan.placed import PlacedPipeline
from modules.engines.wan.texts import TextCache
from modules.progress import Progress, StopIfCancelled, do_nothing

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


@dataclass(frozen = True)
class Wanted:
    """What a clip is made of."""

    #: RGB, of the clip's size
    image: Image.Image
    clip: PlannedClip
    #: what should happen, and what should not
    texts: tuple[str, str]
    seed: int
    #: what the clip leads back to, so that its beginning follows: a picture as ``image``; None where it may end anyhow
    last_image: Image.Image | None = None


class Sampler(Testable):
    """
    Makes frames.

    :param placed: the pipeline on its device
    :type placed: PlacedPipeline
    :param texts: embeds texts
    :type texts: TextCache
    :param is_tiled: rung, clip → whether the clip is decoded in tiles
    :type is_tiled: Callable[[Rung, PlannedClip], bool]
    :param sample: the smallest clip that needs as much memory as any
    :type sample: Wanted
    """

    def __init__(self, placed: PlacedPipeline, texts: TextCache,
                 is_tiled: Callable[[Rung, PlannedClip], bool], sample: Wanted):
        self.placed = placed
        self.device = placed.device
        self._texts = texts
        self._is_tiled = is_tiled
        self._sample = sample
        #: whether the last clip was decoded in tiles
        self.was_tiled = False

    @property
    def rung(self) -> Rung:
        return self.placed.rung

    def find_lower_rung(self) -> Rung | None:
        return self.placed.find_lower_rung()

    def take(self, rung: Rung) -> None:
        self.placed.take(rung)

    def restore(self) -> None:
        self.placed.restore()

    def gives_numbers(self) -> bool:
        latents = self._denoise(self._sample, 0, None, do_nothing)
        return bool(latents.isfinite().all()) and self._make_decoder().gives_numbers(
            latents.transpose(1, 2))

    def make(self, wanted: Wanted, control: ClipControl) -> numpy.ndarray:
        """
        Make a clip.

        :param wanted: what it is made of
        :type wanted: Wanted
        :param control: called after every step and every part that is decoded
        :type control: ClipControl
        :return: uint8 [T, H, W, 3]
        :rtype: numpy.ndarray
        :raises modules.errors.UnusablePicture: after the first step that gives no numbers, or when a frame is black
        """
        clip, count = wanted.clip, len(wanted.clip.parts)

        def make_part(number: int, before: numpy.ndarray | None,
                      control: ClipControl) -> numpy.ndarray:
            image = wanted.image if before is None else Image.fromarray(before)
            last = wanted.last_image if number == count - 1 else None
            of_part = replace(wanted, image = image, last_image = last)
            return control.finish(self._make_part(of_part, number, control))

        made = parts.make_parts(make_part, count, clip.steps, control)
        # the last picture is the first one again
        return made[:-1] if wanted.last_image else made

    def _make_part(self, wanted: Wanted, number: int, control: ClipControl) -> numpy.ndarray:
        """Make one part of a clip, of the model's size."""
        previews: preview.Previews | None = None

        def on_step_end(pipe, step, _time, tensors):
            if not tensors['latents'].isfinite().all():
                # no later step makes numbers of them
                raise errors.UnusablePicture
            nonlocal previews
            previews = previews or preview.Previews(wanted.image, self.placed.get_photo_latents())
            picture = previews.draw(preview.read_prediction(pipe.scheduler, tensors['latents']))
            control.report(Progress('step', step + 1, wanted.clip.steps, picture))
            control.stop_if_cancelled()
            return tensors

        control.report(Progress('encoding'))
        latents = self._denoise(wanted, number, on_step_end, control.stop_if_cancelled)
        chunks = self.placed.count_chunks(latents)

        def report(progress: Progress) -> None:
            control.report(replace(progress, step = progress.step * chunks, steps = chunks))

        of_whole = ClipControl(report, control.stop_if_cancelled)
        with self._reporting(chunks, control):
            return self._make_decoder().decode(latents.transpose(1, 2), latents.shape[2], of_whole)

    def _denoise(self, wanted: Wanted, number: int, on_step_end: Callable | None,
                 stop_if_cancelled: StopIfCancelled) -> 'torch.Tensor':
        """Make the latents of one part of a clip, [1, C, T, h, w]."""
        import torch
        clip = wanted.clip
        # without guidance nothing is kept from being seen
        texts = wanted.texts[:1 + (clip.guidance > 1)]
        positive, *negative = self._texts.embed(*texts, stop_if_cancelled = stop_if_cancelled)
        self.was_tiled = self.placed.tile(self._is_tiled(self.rung, clip))
        kept = contextlib.nullcontext() if attention.is_fused(self.device,
                                                              torch) else attention.slicing()
        with kept:
            return self.placed.pipe(
                wanted.image,
                height = clip.height,
                width = clip.width,
                num_frames = clip.parts[number],
                num_inference_steps = clip.steps,
                guidance_scale = clip.guidance,
                prompt_embeds = positive.to(self.device),
                negative_prompt_embeds = negative[0].to(self.device) if negative else None,
                last_image = wanted.last_image,
                generator = torch.Generator().manual_seed(wanted.seed + number),
                callback_on_step_end = on_step_end,
                output_type = 'latent').frames

    def _make_decoder(self) -> Decoder:
        pipe = self.placed.pipe
        return Decoder(pipe.vae, self.placed.decode_video, pipe.video_processor)

    @contextlib.contextmanager
    def _reporting(self, chunks: int, control: ClipControl) -> Iterator[None]:
        """Report and stop between the chunks that the VAE decodes one after the other."""
        done = 0

        def before(*_unused: Any) -> None:
            nonlocal done
            control.report(Progress('decoding', min(done, chunks), chunks))
            control.stop_if_cancelled()
            done += 1

        handle = self.placed.pipe.vae.decoder.register_forward_pre_hook(before)
        try:
            yield
        finally:
            handle.remove()
