#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A photo that was read, and the sizes of what is made of it: all that engines need to know of photos.

Libraries: Pillow.
"""

import math
from dataclasses import dataclass

from PIL import Image

#: pixels of a clip's longer side; GIF ends at 65535, the camera's warp and H.264 well before
LONGEST_SIDE = 16000


@dataclass(frozen = True)
class Photo:
    """A photo that is known to be good."""

    #: upright RGB, 8 bits, sRGB; perhaps decoded at a reduced scale
    image: Image.Image
    #: width and height of the upright photo before any reduction
    full_size: tuple[int, int]


def result_size(photo: tuple[int, int], pixels: int) -> tuple[int, int]:
    """
    Size of a clip made from a photo: the photo's aspect ratio within a pixel, even sides, about ``pixels``,
    never larger than the photo (but 2 × 2 at the least).

    :param photo: width and height of the upright photo
    :type photo: tuple[int, int]
    :param pixels: how many pixels the clip should have
    :type pixels: int
    :return: width and height
    :rtype: tuple[int, int]
    """
    width, height = photo
    scale = min(1.0, math.sqrt(pixels / (width * height)), LONGEST_SIDE / max(photo))
    short, long = sorted(photo)
    even_short = max(2, 2 * round(short * scale / 2))
    if even_short > short > 1:
        even_short -= 2
    even_long = max(2, 2 * round(even_short * long / short / 2))
    even_long = min(even_long, max(2, long - long % 2), LONGEST_SIDE)
    return (even_long, even_short) if width >= height else (even_short, even_long)


def crop_to_ratio(image: Image.Image, ratio: tuple[int, int]) -> Image.Image:
    """
    The middle of a photo, as large as an aspect ratio allows: all of it where that is its own, within a pixel.

    :param image: the photo
    :type image: Image.Image
    :param ratio: width and height of the aspect ratio
    :type ratio: tuple[int, int]
    :return: the photo itself, or a part of it
    :rtype: Image.Image
    """
    width = max(1, min(image.width, round(image.height * ratio[0] / ratio[1])))
    height = max(1, min(image.height, round(image.width * ratio[1] / ratio[0])))
    if (width, height) == image.size:
        return image
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
