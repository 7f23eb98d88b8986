#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Presets: how much exactness is given up for speed.

Libraries: none; torch and diffusers through what is handed in.
"""

import dataclasses
import logging
import math
from dataclasses import dataclass
from typing import Any

from modules.configuration import ModelOptions

logger = logging.getLogger(__name__)

#: fewer steps than this are not made fewer: a scheduler of second order is then worse than Euler's
FEWEST_STEPS = 12

#: sides of the model's picture are multiples of this
SIDE = 64


@dataclass(frozen = True)
class Preset:
    """What is given up for speed."""

    #: part of ``InferenceSteps`` that is made; where it is not all, by a scheduler of second order
    steps: float = 1.0
    #: noise (σ) below which steps are made without guidance; None for guidance in every step. At little noise it was
    #: found to improve nothing: Kynkäänniemi et al. 2024, https://arxiv.org/abs/2404.07724
    guidance_above: float | None = None
    #: every how many steps the full UNet is computed; in those between, the output of its deep layers is reused:
    #: Ma et al. 2023, https://arxiv.org/abs/2312.00858
    full_unet_every: int = 1
    #: frames at most; None as set
    frames: int | None = None
    #: part of the model's sides that is computed
    sides: float = 1.0


TABLE = {
    'quality': Preset(),
    'balanced': Preset(steps = 0.6, guidance_above = 1.0),
    'fast': Preset(steps = 0.6, guidance_above = 1.0, full_unet_every = 3),
    'draft':
    Preset(steps = 0.6, guidance_above = 1.0, full_unet_every = 3, frames = 14, sides = 0.625)
}


@dataclass(frozen = True)
class Applied:
    """A preset, and the options as it changes them."""

    preset: Preset
    model: ModelOptions
    #: of the clip, which may be longer than the model makes in one go
    frames: int

    def count_parts(self) -> int:
        """
        Count the parts that the clip is made in; of every part but the first, its first frame is not shown.

        :return: 1 or more; 1 where a part is a single frame, from which nothing goes on
        :rtype: int
        """
        of_part = self.model.output_frames
        return max(1, math.ceil((self.frames - 1) / (of_part - 1))) if of_part > 1 else 1

    def without_preset(self) -> 'Applied':
        """
        Compute every step in full, with the same options.

        :return: the options, with a preset that gives up nothing
        :rtype: Applied
        """
        return dataclasses.replace(self, preset = Preset())


def apply(name: str, model: ModelOptions, seconds: float | None = None) -> Applied:
    """
    Change the options as a preset does.

    :param name: one of :data:`TABLE`
    :type name: str
    :param model: the options as they are set
    :type model: ModelOptions
    :param seconds: length of the clip; None for what the model makes in one go
    :type seconds: float | None
    :return: those that are computed with
    :rtype: Applied
    """
    preset, steps = TABLE[name], model.inference_steps
    frames = min(model.output_frames, preset.frames or model.output_frames)
    changed = dataclasses.replace(
        model,
        inference_steps = max(round(steps * preset.steps), min(steps, FEWEST_STEPS)),
        output_frames = frames,
        image_prompt_width = _scale_side(model.image_prompt_width, preset.sides),
        image_prompt_height = _scale_side(model.image_prompt_height, preset.sides))
    return Applied(preset, changed, round(seconds * model.output_fps) if seconds else frames)


def _scale_side(side: int, share: float) -> int:
    return max(SIDE, round(side * share / SIDE) * SIDE)


def choose_scheduler(preset: Preset, original: Any) -> Any:
    """
    Choose the scheduler. The noise levels are always those of the checkpoint's own; with the same levels and first
    order, diffusers' EDM schedulers compute the same.

    :param preset: what is given up
    :type preset: Preset
    :param original: the checkpoint's own, one of diffusers'
    :type original: Any
    :return: that one, or one of second order with its noise levels
    :rtype: Any
    """
    if preset.steps == 1:
        return original
    config = original.config
    if type(original).__name__ != 'EulerDiscreteScheduler' or not config.use_karras_sigmas:
        logger.warning('The checkpoint has a scheduler of another class, which is kept')
        return original
    from diffusers import EDMDPMSolverMultistepScheduler
    return EDMDPMSolverMultistepScheduler(
        sigma_min = config.sigma_min,
        sigma_max = config.sigma_max,
        sigma_data = 1.0,
        prediction_type = config.prediction_type)
