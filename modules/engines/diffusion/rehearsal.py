#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Short clips of which nothing is kept: what they compute is compiled before somebody waits.

Libraries: Pillow; torch and diffusers through the pipeline that is handed in.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from modules.engines.stable_video.presets import Preset
from modules.progress import StopIfCancelled

if TYPE_CHECKING:
    from diffusers import StableVideoDiffusionPipeline

#: in a clip of so many steps, every preset has each kind of step that it has in a longer one
ENOUGH_STEPS = 8


@dataclass(frozen = True)
class Rehearsal:
    """What is made."""

    #: width and height given to the model
    size: tuple[int, int]
    frames: int
    #: denoising steps
    steps: int = 1
    #: frames that are decoded at once; 0 to decode none
    chunk: int = 0

    def play(self, pipe: 'StableVideoDiffusionPipeline',
             stop_if_cancelled: StopIfCancelled) -> None:
        """
        Make a clip of a grey picture; of its chunks, decode one of each length.

        :param pipe: the pipeline, prepared for a clip
        :type pipe: StableVideoDiffusionPipeline
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


def steps_of(preset: Preset) -> int:
    """
    Count the steps in which a preset computes in each of its ways.

    :param preset: what is given up for speed
    :type preset: Preset
    :return: the steps of a clip
    :rtype: int
    """
    is_always_whole = preset.whole_every == 1 and preset.guidance_above is None
    return 1 if is_always_whole else ENOUGH_STEPS
