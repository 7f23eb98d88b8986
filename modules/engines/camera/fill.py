#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a moved camera sees behind near things: where that is, and a guess of how it looks.

Libraries: numpy, OpenCV, both imported when first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

#: a change of nearness within three pixels that is taken for an edge
EDGE = 0.06
#: how far nearness may differ from the farthest around and still say what lies behind
ALIKE = 0.06
#: pixels beyond an edge in which near things may mix with what is behind, or depth err
UNSURE = 2
#: how much nearer a colour beyond an edge must be to the far side's than to the near side's, squared
PURE = 0.35


def sharpen_edges(near: 'numpy.ndarray', passes: int = 4) -> 'numpy.ndarray':
    """
    Make steps of blurred edges, and let near things have the pixel in which they mix with what is behind.

    :param near: float32 [H, W], 0–1
    :type near: numpy.ndarray
    :param passes: how many pixels wide a blurred edge may be, halved
    :type passes: int
    :return: float32 [H, W]
    :rtype: numpy.ndarray
    """
    import cv2
    import numpy as np
    square = np.ones((3, 3), np.uint8)
    for _ in range(passes):
        upper, lower = cv2.dilate(near, square), cv2.erode(near, square)
        nearest = np.where(upper - near < near - lower, upper, lower)
        near = np.where(upper - lower > EDGE, nearest, near)
    upper, lower = cv2.dilate(near, square), cv2.erode(near, square)
    return np.where(upper - lower > EDGE, upper, near)


def find_hiding(near: 'numpy.ndarray', travel: float) -> 'numpy.ndarray':
    """
    Find the pixels behind which something may come into view.

    :param near: float32 [H, W], 0–1
    :type near: numpy.ndarray
    :param travel: how far the nearest moves against the farthest, in pixels
    :type travel: float
    :return: bool [H, W]
    :rtype: numpy.ndarray
    """
    import cv2
    import numpy as np
    square = np.ones((3, 3), np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    slope = 1 / (1.15 * travel + 1)
    low = near
    for _ in range(int(float(np.ptp(near)) / slope / 2) + 2):
        low = np.minimum(low, cv2.erode(low, cross) + slope)
        low = np.minimum(low, cv2.erode(low, square) + 1.4 * slope)
    hiding = (near - low > smallest_step(travel)).astype(np.uint8)
    return cv2.dilate(hiding, square, iterations = 2) > 0


def find_mixed(near: 'numpy.ndarray', picture: 'numpy.ndarray') -> 'numpy.ndarray':
    """
    Find pixels just beyond a near thing's edge that have its colour, or a mixture: they would stay as an outline.

    :param near: float32 [H, W], 0–1
    :type near: numpy.ndarray
    :param picture: uint8 [H, W, 3]
    :type picture: numpy.ndarray
    :return: bool [H, W]
    :rtype: numpy.ndarray
    """
    import cv2
    import numpy as np
    around, wider = (np.ones((2 * reach + 1, ) * 2, np.uint8) for reach in (UNSURE, 2 * UNSURE + 1))
    beyond = cv2.dilate(near, around) - near > EDGE
    colours = picture.astype(np.float32)
    distances = []
    for part in (near - cv2.erode(near, around)
                 > EDGE, (cv2.dilate(near, wider) - near > EDGE) & ~beyond):
        weight = part.astype(np.float32)
        share = cv2.boxFilter(weight, -1, wider.shape)
        total = cv2.boxFilter(colours * weight[..., None], -1, wider.shape)
        mean = total / np.maximum(share, 1e-4)[..., None]
        distances.append(np.where(share > 0.01, ((colours - mean)**2).sum(2), 1e9))
    return beyond & (distances[1] >= PURE * distances[0])


def smallest_step(travel: float) -> float:
    """
    Compute the smallest step of nearness that is taken for an edge when pixels move.

    :param travel: how far the nearest moves against the farthest, in pixels
    :type travel: float
    :return: nearness; about a pixel of travel
    :rtype: float
    """
    return max(0.02, 1 / max(travel, 1.0))


def fill_behind(picture: 'numpy.ndarray', near: 'numpy.ndarray',
                hiding: 'numpy.ndarray') -> tuple['numpy.ndarray', 'numpy.ndarray']:
    """
    Guess what lies behind near things from what is seen beside them on the far side.

    :param picture: uint8 [H, W, 3]
    :type picture: numpy.ndarray
    :param near: float32 [H, W], 0–1
    :type near: numpy.ndarray
    :param hiding: bool [H, W], from :func:`find_hiding`
    :type hiding: numpy.ndarray
    :return: colour, uint8 [H, W, 3], and nearness, float32 [H, W]; the photo's own where nothing is hidden
    :rtype: tuple[numpy.ndarray, numpy.ndarray]
    """
    import cv2
    import numpy as np
    farthest = cv2.erode(near, np.ones((9, 9), np.uint8))
    weight = ~hiding / (1 + ((near - farthest) / ALIKE)**2)
    filled = _push_pull(np.dstack([picture, near * 255]).astype(np.float32), weight)
    colour = np.where(hiding[..., None], filled[..., :3].round().clip(0, 255), picture)
    behind = np.where(hiding, np.minimum(filled[..., 3] / 255, near), near)
    return colour.astype(np.uint8), behind.astype(np.float32)


def _push_pull(values: 'numpy.ndarray', weight: 'numpy.ndarray') -> 'numpy.ndarray':
    """Smoothly continue float32 [H, W, C] to where its weight, [H, W], is 0, from coarse to fine."""
    import cv2
    import numpy as np
    level: numpy.ndarray = np.dstack([values * weight[..., None], weight]).astype(np.float32)
    levels = []
    while min(level.shape[:2]) > 2:
        levels.append(level)
        smaller = cv2.pyrDown(level)
        known = smaller[..., -1:]
        level = smaller * (np.minimum(1, 4 * known) / np.maximum(known, 1e-6))
    filled: numpy.ndarray = level[..., :-1] / np.maximum(level[..., -1:], 1e-6)
    for level in reversed(levels):
        filled = cv2.resize(filled, level.shape[1::-1], interpolation = cv2.INTER_LINEAR)
        filled = filled * (1 - level[..., -1:]) + level[..., :-1]
    return filled
