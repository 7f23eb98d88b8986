#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Previews of a clip while it is still noise: after each step, one frame of what the model predicts the clip to be, at the
latents' own size. What each channel means for colours is found from the photo itself, of which both are known: latents
and colours.

Libraries: numpy, Pillow; torch and diffusers through what is handed in.
"""

import logging
from typing import TYPE_CHECKING, Any

import numpy
from PIL import Image

from modules.engines.diffusion.preview import project_latents

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

#: keeps channels that hardly differ within the photo from being taken for much
RIDGE = 0.01


class Previews:
    """
    Makes small pictures of latents.

    :param image: the photo, RGB, of the model's size
    :type image: Image.Image
    :param latents: what the VAE made of it, float32 [C, H, W]
    :type latents: numpy.ndarray
    """

    def __init__(self, image: Image.Image, latents: numpy.ndarray):
        small = image.resize(latents.shape[:0:-1], Image.Resampling.BOX)
        colours = numpy.asarray(small, numpy.float32).reshape(-1, 3) / 127.5 - 1
        samples = latents.reshape(len(latents), -1).T
        self._mean, self._colour = samples.mean(0), colours.mean(0)
        centred = samples - self._mean
        squares = centred.T @ centred + RIDGE * len(samples) * numpy.eye(len(latents), dtype = 'f4')
        self._factors = numpy.linalg.solve(squares, centred.T @ (colours - self._colour))

    def draw(self, latents: numpy.ndarray | None) -> numpy.ndarray | None:
        """
        Show the latents of one frame.

        :param latents: float32 [C, H, W], without noise; None where there are none
        :type latents: numpy.ndarray | None
        :return: uint8 [H, W, 3]; None where there is none, or a number is not finite
        :rtype: numpy.ndarray | None
        """
        if latents is None:
            return None
        offset = self._colour - self._mean @ self._factors
        return project_latents(latents, self._factors, offset)


def read_prediction(scheduler: Any, latents: 'torch.Tensor') -> 'numpy.ndarray | None':
    """
    Read the middle frame that the model predicted in the step that was just made. A clip never fails here.

    :param scheduler: one of diffusers'
    :type scheduler: Any
    :param latents: as they are after the step, [1, C, T, H, W]
    :type latents: torch.Tensor
    :return: float32 [C, H, W], without noise where the scheduler keeps that, else as it is; None where memory does not
        suffice
    :rtype: numpy.ndarray | None
    """
    kept = getattr(scheduler, 'model_outputs', None) or [None]
    predicted = latents if kept[-1] is None else kept[-1]
    try:
        return predicted[0, :, predicted.shape[2] // 2].float().cpu().numpy()
    except RuntimeError as error:
        # the error itself would keep its tensors in whatever keeps the record
        logger.warning('A step has no preview: %s', str(error))
        return None
