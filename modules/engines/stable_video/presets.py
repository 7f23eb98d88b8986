#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How much exactness is given for speed.

Libraries: none; torch and diffusers through what is handed in.
"""

import dataclasses
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modules.configuration import ModelOptions

if TYPE_CHECKING:
    from diffusers import EulerDiscreteScheduler, SchedulerMixin

logger = logging.getLogger(__name__)

#: fewer steps than this are not made fewer: a solver of second order is then worse than Euler's
FEWEST_STEPS = 12

#: sides of the model's picture are multiples of this
SIDE = 64


@dataclass(frozen = True)
class Preset:
    """What is given up."""

    #: part of ``InferenceSteps`` that is made, by a solver of second order where it is not all
    steps: float = 1.0
    #: noise (σ) below which the photo alone decides, without guidance; None for guidance in every step. There it was
    #: found to change nothing for the better: Kynkäänniemi et al. 2024, https://arxiv.org/abs/2404.07724
    guidance_above: float | None = None
    #: every how many steps the whole UNet is computed; between, its deep layers say what they said before:
    #: Ma et al. 2023, https://arxiv.org/abs/2312.00858
    whole_every: int = 1
    #: frames at most; None as set
    frames: int | None = None
    #: part of the model's sides that is computed
    sides: float = 1.0


TABLE = {
    'quality': Preset(),
    'balanced': Preset(steps = 0.6, guidance_above = 1.0),
    'fast': Preset(steps = 0.6, guidance_above = 1.0, whole_every = 3),
    'draft': Preset(steps = 0.6, guidance_above = 1.0, whole_every = 3, frames = 14, sides = 0.625)
}


def applied(preset: Preset, model: ModelOptions) -> ModelOptions:
    """
    The options as a preset changes them.

    :param preset: what is given up
    :type preset: Preset
    :param model: the options as they are set
    :type model: ModelOptions
    :return: those that are computed with
    :rtype: ModelOptions
    """
    steps = model.inference_steps
    return dataclasses.replace(
        model,
        inference_steps = max(round(steps * preset.steps), min(steps, FEWEST_STEPS)),
        output_frames = min(model.output_frames, preset.frames or model.output_frames),
        image_prompt_width = _side(model.image_prompt_width, preset.sides),
        image_prompt_height = _side(model.image_prompt_height, preset.sides))


def _side(side: int, share: float) -> int:
    return max(SIDE, round(side * share / SIDE) * SIDE)


def solver(preset: Preset, original: 'EulerDiscreteScheduler') -> 'SchedulerMixin':
    """
    What steps from noise to picture.

    The noise levels are those of the checkpoint's own scheduler; with the same levels and first order, diffusers' EDM
    schedulers give what that one gives.

    :param preset: what is given up
    :type preset: Preset
    :param original: the checkpoint's own
    :type original: EulerDiscreteScheduler
    :return: that one, or one of second order with its noise levels
    :rtype: SchedulerMixin
    """
    if preset.steps == 1:
        return original
    config = original.config
    if type(original).__name__ != 'EulerDiscreteScheduler' or not config.use_karras_sigmas:
        logger.warning('The checkpoint has a scheduler of its own kind, which stays')
        return original
    from diffusers import EDMDPMSolverMultistepScheduler
    return EDMDPMSolverMultistepScheduler(
        sigma_min = config.sigma_min,
        sigma_max = config.sigma_max,
        sigma_data = 1.0,
        prediction_type = config.prediction_type)
