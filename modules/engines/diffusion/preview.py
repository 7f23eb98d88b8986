#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Latents as a small picture, without a decoder.

Libraries: numpy.
"""

import numpy


def project_latents(latents: numpy.ndarray,
                    colours: numpy.ndarray,
                    offset: numpy.ndarray | float = 0.0) -> numpy.ndarray | None:
    """
    Show the latents of one frame as a picture of their own size.

    :param latents: float32 [C, H, W], without noise
    :type latents: numpy.ndarray
    :param colours: [C, 3], what each channel adds to red, green and blue, -1 to 1
    :type colours: numpy.ndarray
    :param offset: [3], what is added to that
    :type offset: numpy.ndarray | float
    :return: uint8 [H, W, 3]; None where a number is not finite, and for latents of another kind
    :rtype: numpy.ndarray | None
    """
    if len(latents) != len(colours) or not numpy.isfinite(latents).all():
        return None
    values = numpy.tensordot(latents, colours, (0, 0)) + offset
    return ((values + 1) * 127.5).clip(0, 255).round().astype(numpy.uint8)
