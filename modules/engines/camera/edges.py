#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Edges of depth: made sharp and laid where the photo has them, and the pixels there in which near and far mix.

Libraries: numpy, OpenCV, both imported when first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

#: a change of nearness within three pixels that is taken for an edge
EDGE = 0.06
#: how many pixels wide a blurred edge may be, halved
BLURRED = 4
#: pixels to either side of an edge in which near things may mix with what is behind, or depth err
UNSURE = 2
#: pixels from an edge up to which its sides' colours are taken
SURE = 2 * UNSURE + 1
#: how much nearer a colour at an edge must be to that of one side than to that of the other, squared
PURE = 0.35


def fit_edges(near: 'numpy.ndarray', picture: 'numpy.ndarray') -> 'numpy.ndarray':
    """
    Make steps of blurred edges and lay them where the picture has them: near things get the pixel in which they mix
    with what is behind, and lose those that have the colour of what is behind.

    :param near: float32 [H, W], 0–1
    :type near: numpy.ndarray
    :param picture: uint8 [H, W, 3]
    :type picture: numpy.ndarray
    :return: float32 [H, W]
    :rtype: numpy.ndarray
    """
    import cv2
    import numpy as np
    square = np.ones((3, 3), np.uint8)
    for _ in range(BLURRED):
        upper, lower = cv2.dilate(near, square), cv2.erode(near, square)
        nearest = np.where(upper - near < near - lower, upper, lower)
        near = np.where(upper - lower > EDGE, nearest, near)
    upper, lower = cv2.dilate(near, square), cv2.erode(near, square)
    near = np.where(upper - lower > EDGE, upper, near)
    within, beyond = _find_sides(near, UNSURE)
    inside = _find_sides(near, SURE)[0] & ~within
    far = cv2.erode(near, _window(UNSURE))
    return np.where(within & _is_rather_like(picture, beyond & ~within, inside), far, near)


def find_mixed(near: 'numpy.ndarray', picture: 'numpy.ndarray') -> 'numpy.ndarray':
    """
    Find pixels just beyond a near thing's edge that have its colour, or a mixture, as those next to it always do: they
    would stay as an outline.

    :param near: float32 [H, W], 0–1
    :type near: numpy.ndarray
    :param picture: uint8 [H, W, 3]
    :type picture: numpy.ndarray
    :return: bool [H, W]
    :rtype: numpy.ndarray
    """
    within, beyond = _find_sides(near, UNSURE)
    next_to = _find_sides(near, 1)[1]
    outside = _find_sides(near, SURE)[1] & ~beyond
    return next_to | (beyond & ~_is_rather_like(picture, outside, within))


def _window(reach: int) -> 'numpy.ndarray':
    import numpy as np
    return np.ones((2 * reach + 1, ) * 2, np.uint8)


def _find_sides(near: 'numpy.ndarray', reach: int) -> tuple['numpy.ndarray', 'numpy.ndarray']:
    """Find pixels on the near and on the far side of an edge that is within reach."""
    import cv2
    around = _window(reach)
    return near - cv2.erode(near, around) > EDGE, cv2.dilate(near, around) - near > EDGE


def _is_rather_like(picture: 'numpy.ndarray', one: 'numpy.ndarray',
                    other: 'numpy.ndarray') -> 'numpy.ndarray':
    """Find where a picture's colour is by far nearer to the mean of one set of pixels around than to another's."""
    import cv2
    import numpy as np
    colours = picture.astype(np.float32)
    size = _window(SURE).shape
    distances = []
    for part in (one, other):
        weight = part.astype(np.float32)
        share = cv2.boxFilter(weight, -1, size)
        total = cv2.boxFilter(colours * weight[..., None], -1, size)
        mean = total / np.maximum(share, 1e-4)[..., None]
        distances.append(np.where(share > 0.01, ((colours - mean)**2).sum(2), 1e9))
    return distances[0] < PURE * distances[1]
