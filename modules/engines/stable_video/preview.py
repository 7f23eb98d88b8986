#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Previews of a clip while it is still noise: after each step, one frame of what the model predicts the clip to be, at the
latents' own size.

Libraries: numpy; torch and diffusers through what is handed in.
"""

import logging
import math
from typing import TYPE_CHECKING, Any

import numpy

from modules.engines.diffusion.preview import project_latents

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

#: names of the tensors that the pipeline hands to ``callback_on_step_end``; it does not check them
TENSORS = ['latents', 'noise_pred']

#: what each channel of the latents adds to red, green and blue, -1 to 1. Found by experiment for Stable Diffusion 1,
#: whose latents Stable Video Diffusion shares:
#: https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204/2
COLOURS = numpy.array(((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264),
                       (-0.184, -0.271, -0.473)), numpy.float32)


def preview_frame(scheduler: Any, tensors: dict[str, 'torch.Tensor']) -> numpy.ndarray | None:
    """
    Make a picture of the middle frame as the model predicts it after a step. A clip never fails here: where a preview
    cannot be made, or memory does not suffice for it, there is none.

    :param scheduler: one of diffusers', which has just made the step
    :type scheduler: Any
    :param tensors: :data:`TENSORS`, [1, T, C, H / 8, W / 8] each
    :type tensors: dict[str, torch.Tensor]
    :return: uint8 [H / 8, W / 8, 3], or None
    :rtype: numpy.ndarray | None
    """
    middle = tensors['latents'].shape[1] // 2
    try:
        if type(scheduler).__name__ == 'EDMDPMSolverMultistepScheduler':
            # this one keeps what the model predicted
            found = scheduler.model_outputs[-1][0, middle].float()
        else:
            found = predict_sample(scheduler, *(tensors[name][0, middle] for name in TENSORS))
        # one small transfer; the rest is computed here
        return None if found is None else project_latents(found.cpu().numpy(), COLOURS)
    except RuntimeError as error:
        # the error itself would keep its tensors in whatever keeps the record
        logger.warning('A step has no preview: %s', str(error))
        return None


def predict_sample(scheduler: Any, after: 'torch.Tensor',
                   predicted: 'torch.Tensor') -> 'torch.Tensor | None':
    """
    Compute the sample without noise that an Euler step went towards, from its result.

    With σ and τ the noise before and after, the model says x0 = a·v + b·x (Karras et al. 2022, equation 7, for v:
    a = -σ / √(σ² + 1), b = 1 / (σ² + 1)), and the step gives y = r·x + (1 - r)·x0 with r = τ / σ. Without x, which
    is gone by then: x0 = (a·r·v + b·y) / (r + (1 - r)·b).

    :param scheduler: one of diffusers', which has just made the step
    :type scheduler: Any
    :param after: y
    :type after: torch.Tensor
    :param predicted: v, what the model predicted
    :type predicted: torch.Tensor
    :return: x0, 32 bits; None for a scheduler that steps in another way
    :rtype: torch.Tensor | None
    """
    # subclasses step in another way, and checkpoints may name them
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
    """Give ``a`` and ``b`` of a kind of prediction."""
    return {
        'v_prediction': (-sigma / math.sqrt(sigma**2 + 1), 1 / (sigma**2 + 1)),
        'epsilon': (-sigma, 1.0),
        'sample': (1.0, 0.0),
        'original_sample': (1.0, 0.0),
    }.get(kind)
