#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Compiling for clips by making a short one, of which nothing is kept, before somebody waits.

Libraries: Pillow; torch and diffusers through the pipeline that is handed in.
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from modules.engines.diffusion.budget import GIB
from modules.engines.diffusion.ladder import Rung
from modules.engines.stable_video import memory
from modules.engines.stable_video.memory import Needs
from modules.engines.stable_video.presets import Preset
from modules.progress import StopIfCancelled

if TYPE_CHECKING:
    from diffusers.pipelines.stable_video_diffusion import pipeline_stable_video_diffusion as svd

logger = logging.getLogger(__name__)

#: in a clip of so many steps, every preset has each kind of step that it has in a longer one
ENOUGH_STEPS = 8

#: what is held besides the weights while code is made, against what a clip holds: kernels are tried on copies
MARGIN = 1.25


@dataclass(frozen = True)
class WarmupClip:
    """A short clip, computed so that code is compiled for its shapes."""

    #: width and height given to the model
    size: tuple[int, int]
    frames: int
    #: denoising steps
    steps: int = 1
    #: frames that are decoded at once; 0 to decode none
    chunk: int = 0

    def compute(self, pipe: 'svd.StableVideoDiffusionPipeline',
                stop_if_cancelled: StopIfCancelled) -> None:
        """
        Make a clip of a grey picture; of its chunks, decode one of each length.

        :param pipe: the pipeline, prepared for a clip
        :type pipe: svd.StableVideoDiffusionPipeline
        :param stop_if_cancelled: called between steps
        :type stop_if_cancelled: StopIfCancelled
        """
        import torch

        def on_step_end(_pipe, _step, _time, tensors):
            stop_if_cancelled()
            return tensors

        latents = pipe(
            Image.new('RGB', self.size, 'grey'),
            width = self.size[0],
            height = self.size[1],
            num_frames = self.frames,
            num_inference_steps = self.steps,
            callback_on_step_end = on_step_end,
            output_type = 'latent').frames
        parts = latents.split(self.chunk, dim = 1) if self.chunk else ()
        with torch.no_grad():
            for part in {part.shape: part for part in parts}.values():
                stop_if_cancelled()
                pipe.decode_latents(part, part.shape[1], part.shape[1])


def count_steps(preset: Preset) -> int:
    """
    Count the steps in which a preset computes in each of its ways.

    :param preset: what is given up for speed
    :type preset: Preset
    :return: the steps of a clip
    :rtype: int
    """
    is_always_full = preset.full_unet_every == 1 and preset.guidance_above is None
    return 1 if is_always_full else ENOUGH_STEPS


def choose_chunk(rung: Rung, needs: Needs, chunk: int, available: int) -> int | None:
    """
    Choose what memory suffices to compile for, and write what it does not suffice for to the log.

    :param rung: the way memory is used
    :type rung: Rung
    :param needs: what a clip needs
    :type needs: Needs
    :param chunk: frames that a clip decodes at once
    :type chunk: int
    :param available: bytes of memory that weights and clip may use
    :type available: int
    :return: the frames to compile the decoder for: those of the clip, or 0 for the UNet alone; None for nothing
    :rtype: int | None
    """
    for frames, what in ((chunk, 'decoder'), (0, 'UNet')):
        besides = memory.predict_peak(rung, needs, frames) - needs.weights
        needed = needs.weights + int(MARGIN * besides) + memory.OVERHEAD
        if needed <= available:
            return frames
        logger.warning('The %s is not compiled: that would take %.1f GiB of %.1f', what,
                       needed / GIB, available / GIB)
    return None
