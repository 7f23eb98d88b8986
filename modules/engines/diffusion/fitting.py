#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From the photo's size to the one the model works at, and back to the photo's own aspect ratio.

Libraries: numpy, Pillow.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy
from PIL import Image, ImageOps

from modules.configuration import ModelOptions
from modules.engines.diffusion.decoding import ClipControl
from modules.photos.sizes import result_size
from modules.progress import JobControl, Progress


@dataclass(frozen = True)
class Fit:
    """How a photo meets the model."""

    #: ``stretch``, ``crop`` or ``pad``
    how: str
    #: width and height given to the model
    model: tuple[int, int]
    #: left, top, right, bottom of what belongs to the photo within the model's picture
    box: tuple[int, int, int, int]
    #: width and height of the clip
    result: tuple[int, int]


def plan(photo: tuple[int, int], model: ModelOptions) -> Fit:
    """
    Decide on all sizes. Taller than wide is portrait and takes the model's size turned; a square is landscape.

    :param photo: width and height of the upright photo
    :type photo: tuple[int, int]
    :param model: the options
    :type model: ModelOptions
    :return: the sizes
    :rtype: Fit
    """
    short, long = sorted((model.image_prompt_width, model.image_prompt_height))
    width, height = (short, long) if photo[1] > photo[0] else (long, short)
    shown, box = photo, (0, 0, width, height)
    if model.image_fit == 'crop':
        shown = _largest_within(photo, width / height)
    elif model.image_fit == 'pad':
        inner = _largest_within((width, height), photo[0] / photo[1])
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        box = (left, top, left + inner[0], top + inner[1])
    return Fit(model.image_fit, (width, height), box, result_size(shown, width * height))


def _largest_within(size: tuple[int, int], ratio: float) -> tuple[int, int]:
    """Find the largest size of an aspect ratio within another size."""
    width, height = size
    return (max(1, min(width, round(height * ratio))), max(1, min(height, round(width / ratio))))


def fit_to_model(image: Image.Image, fit: Fit) -> Image.Image:
    """
    Resize a photo to what the model takes, by Lanczos, as the pipeline itself does.

    :param image: the upright photo, RGB
    :type image: Image.Image
    :param fit: its :func:`plan`
    :type fit: Fit
    :return: RGB, of the model's size
    :rtype: Image.Image
    """
    if fit.how == 'crop':
        return ImageOps.fit(image, fit.model, Image.Resampling.LANCZOS)
    left, top, right, bottom = fit.box
    inner = image.resize((right - left, bottom - top), Image.Resampling.LANCZOS)
    if inner.size == fit.model:
        return inner
    # bars of the edge's own colours bleed less into the photo than black ones, and are cut off again
    width, height = fit.model
    around = ((top, height - bottom), (left, width - right), (0, 0))
    return Image.fromarray(numpy.pad(numpy.asarray(inner), around, mode = 'edge'))


def fit_to_result(frames: numpy.ndarray, fit: Fit) -> numpy.ndarray:
    """
    Cut padding off a clip's frames and give them the photo's own aspect ratio.

    :param frames: uint8 [T, H, W, 3] of the model's size
    :type frames: numpy.ndarray
    :param fit: the photo's :func:`plan`
    :type fit: Fit
    :return: uint8 [T, H, W, 3] of the result's size; the very same frames where sizes agree
    :rtype: numpy.ndarray
    """
    if fit.result == fit.model and fit.box == (0, 0, *fit.model):
        return frames

    # Pillow lets other threads run while it computes
    with ThreadPoolExecutor() as pool:
        return numpy.stack(list(pool.map(lambda frame: restore_shape(frame, fit), frames)))


def restore_shape(picture: numpy.ndarray, fit: Fit) -> numpy.ndarray:
    """
    Cut padding off one frame, or a smaller picture of it, and give it the photo's own aspect ratio.

    :param picture: uint8 [H, W, 3], of the model's size times any scale
    :type picture: numpy.ndarray
    :param fit: the photo's :func:`plan`
    :type fit: Fit
    :return: uint8 [H, W, 3] of the result's size times that scale; the very same picture where sizes agree
    :rtype: numpy.ndarray
    """
    scale = picture.shape[1] / fit.model[0]
    size = tuple(max(1, round(side * scale)) for side in fit.result)
    box = tuple(edge * scale for edge in fit.box)
    if box == (0, 0, *size) and size == picture.shape[1::-1]:
        return picture
    return numpy.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, box))


def control_in_shape(control: JobControl, fit: Fit) -> ClipControl:
    """
    Give all that becomes visible of a clip the photo's own aspect ratio.

    :param control: takes the progress
    :type control: JobControl
    :param fit: the photo's :func:`plan`
    :type fit: Fit
    :return: takes what the model makes
    :rtype: ClipControl
    """

    def report(progress: Progress) -> None:
        picture = progress.picture
        if picture is not None:
            picture = restore_shape(picture, fit)
        control.report(replace(progress, picture = picture))

    return ClipControl(report, control.stop_if_cancelled, partial(fit_to_result, fit = fit))
