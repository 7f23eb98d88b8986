#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The photo sampled twice as densely as a frame, so that what is drawn from it is as sharp as the photo.

Libraries: Pillow; numpy and OpenCV, imported when a clip is made.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from PIL import Image

from modules.engines.camera.flow_moment import LookUp

if TYPE_CHECKING:
    import numpy

#: sharpens, each way, as much as linear sampling between dense pixels softens
CRISP = (-0.1, 1.2, -0.1)


def sample_twice(image: Image.Image, size: tuple[int, int]) -> 'numpy.ndarray':
    """
    Resize a photo and sample it twice as densely, uint8 [2H - 1, 2W - 1, 3]: even rows and columns are the photo as
    Pillow resizes it, odd ones what it gives half a pixel further. Frames drawn from it are neither softer
    nor sharper than frame 0.

    :param image: the upright photo, RGB
    :type image: Image.Image
    :param size: width and height of the frames
    :type size: tuple[int, int]
    :return: the samples
    :rtype: numpy.ndarray
    """
    import numpy as np
    width, height = size
    half_x, half_y = image.width / width / 2, image.height / height / 2
    fine = np.empty((2 * height - 1, 2 * width - 1, 3), np.uint8)

    def fill(right: int) -> None:
        across = image.resize((width - right, image.height), Image.Resampling.LANCZOS,
                              (right * half_x, 0, image.width - right * half_x, image.height))
        for down in (0, 1):
            fine[down::2, right::2] = np.asarray(
                across.resize((width - right, height - down), Image.Resampling.LANCZOS,
                              (0, down * half_y, width - right, image.height - down * half_y)))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, (0, 1)))
    return fine


def sharpen(fine: 'numpy.ndarray') -> 'numpy.ndarray':
    """
    Sharpen as much as linear sampling between dense pixels softens.

    :param fine: uint8 [2H - 1, 2W - 1, 3], a photo sampled twice as densely as a frame
    :type fine: numpy.ndarray
    :return: uint8, of the same shape
    :rtype: numpy.ndarray
    """
    import cv2
    import numpy as np
    return cv2.sepFilter2D(
        fine, -1, np.array(CRISP), np.array(CRISP), borderType = cv2.BORDER_REPLICATE)


def make_live(sharp: 'numpy.ndarray') -> 'numpy.ndarray':
    """
    Make what colours are taken from where something flows: four channels are looked up in less time than three.

    :param sharp: uint8 [.., .., 3], from :func:`sharpen`
    :type sharp: numpy.ndarray
    :return: uint8 [.., .., 4]
    :rtype: numpy.ndarray
    """
    import cv2
    return cv2.cvtColor(sharp, cv2.COLOR_RGB2RGBA)


def look_up_in(live: 'numpy.ndarray') -> LookUp:
    """
    Take colours from a photo.

    :param live: uint8 [2H - 1, 2W - 1, 4]
    :type live: numpy.ndarray
    :return: what gives its colours
    :rtype: LookUp
    """
    import cv2
    # what flows in from beyond a border is mirrored
    return lambda place: cv2.remap(live, *place, cv2.INTER_LINEAR, borderMode = cv2.BORDER_REFLECT)
