#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a clip will look like, seen while it is still noise: after each step, one frame of what the model takes the clip
to be, at the latents' own size.

Libraries: numpy; torch and diffusers through what is handed in.
"""

import logging
import math
from typing import TYPE_CHECKING

import numpy

if TYPE_CHECKING:
    import torch
    from diffusers import EulerDiscreteScheduler

logger = logging.getLogger(__name__)

#: what the pipeline is asked for after each step; its own names, which it does not check
TENSORS = ['latents', 'noise_pred']

#: what each channel of the latents adds to red, green and blue, -1 to 1, of Stable Diffusion 1, whose latents Stable
#: Video Diffusion shares. Found by experiment:
#: https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204/2
COLOURS = numpy.array(((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264),
                       (-0.184, -0.271, -0.473)), numpy.float32)


def forming(scheduler: 'EulerDiscreteScheduler',
            tensors: dict[str, 'torch.Tensor']) -> numpy.ndarray | None:
    """
    The middle frame as the model sees it after a step. Never the end of a clip: where there is nothing to see, or no
    memory to see it with, there is no picture.

    :param scheduler: has just made the step
    :type scheduler: EulerDiscreteScheduler
    :param tensors: :data:`TENSORS`, [1, T, C, H / 8, W / 8] each
    :type tensors: dict[str, torch.Tensor]
    :return: uint8 [H / 8, W / 8, 3], or None
    :rtype: numpy.ndarray | None
    """
    middle = tensors['latents'].shape[1] // 2
    try:
        if type(scheduler).__name__ == 'EDMDPMSolverMultistepScheduler':
            # this one remembers what it took the clip to be
            found = scheduler.model_outputs[-1][0, middle].float()
        else:
            found = original(scheduler, *(tensors[name][0, middle] for name in TENSORS))
        # one small transfer; the GPU is left alone with the rest
        return None if found is None else projected(found.cpu().numpy())
    except RuntimeError as error:
        # the error itself would keep its tensors in whatever keeps the record
        logger.warning('A step has no preview: %s', str(error))
        return None


def original(scheduler: 'EulerDiscreteScheduler', after: 'torch.Tensor',
             predicted: 'torch.Tensor') -> 'torch.Tensor | None':
    """
    The sample without noise that an Euler step went towards, from what the step left.

    With σ and τ the noise before and after, the model says x0 = a·v + b·x (Karras et al. 2022, equation 7, for v:
    a = -σ / √(σ² + 1), b = 1 / (σ² + 1)), and the step gives y = r·x + (1 - r)·x0 with r = τ / σ. Without x, which
    is gone by then: x0 = (a·r·v + b·y) / (r + (1 - r)·b).

    :param scheduler: has just made the step
    :type scheduler: EulerDiscreteScheduler
    :param after: y
    :type after: torch.Tensor
    :param predicted: v, what the model predicted
    :type predicted: torch.Tensor
    :return: x0, 32 bits; None for a scheduler that steps in another way
    :rtype: torch.Tensor | None
    """
    # its relatives step otherwise, and checkpoints may name them
    if type(scheduler).__name__ != 'EulerDiscreteScheduler':
        return None
    # schedules with equal noise levels do not begin at 0, so only the scheduler knows where it is
    sigma, following = map(float, scheduler.sigmas[scheduler.step_index - 1:][:2])
    weights = _weights(scheduler.config.prediction_type, sigma)
    if weights is None or sigma <= 0:
        return None
    of_prediction, of_sample = weights
    if of_sample == 0:
        return predicted.float()
    left = following / sigma
    total = left + (1 - left) * of_sample
    return predicted.float() * (of_prediction * left / total) + after.float() * (of_sample / total)


def _weights(kind: str, sigma: float) -> tuple[float, float] | None:
    """The ``a`` and ``b`` of a kind of prediction."""
    return {
        'v_prediction': (-sigma / math.sqrt(sigma**2 + 1), 1 / (sigma**2 + 1)),
        'epsilon': (-sigma, 1.0),
        'sample': (1.0, 0.0),
        'original_sample': (1.0, 0.0),
    }.get(kind)


def projected(latents: numpy.ndarray) -> numpy.ndarray | None:
    """
    Latents as a picture of their own size, by nothing but :data:`COLOURS`.

    :param latents: float32 [4, H, W], without noise
    :type latents: numpy.ndarray
    :return: uint8 [H, W, 3]; None where a number is not finite, and for latents of another kind
    :rtype: numpy.ndarray | None
    """
    if len(latents) != len(COLOURS) or not numpy.isfinite(latents).all():
        return None
    colours = numpy.tensordot(latents, COLOURS, (0, 0))
    return ((colours + 1) * 127.5).clip(0, 255).round().astype(numpy.uint8)
