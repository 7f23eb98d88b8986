#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Depth of field: what is nearer or farther than what is in focus is blurred, slice by slice from far to near, so that
neither bleeds into the other.

Libraries: numpy, OpenCV, both imported when first used.
"""

from typing import TYPE_CHECKING

from modules.engines.camera.fill import fill_behind, find_hiding

if TYPE_CHECKING:
    import numpy

#: radius of the widest circle of confusion, as a part of the longer side, at full blur
WIDEST = 0.018
#: how far nearness may differ from the focus and still be sharp
SHARP = 0.06
#: slices of nearness on each side of the focus
SLICES = 5
#: share of a thing in a pixel from which it is seen there
VISIBLE = 0.02


def blur_away(fine: 'numpy.ndarray', near: 'numpy.ndarray', focus: float,
              amount: float) -> tuple['numpy.ndarray', 'numpy.ndarray']:
    """
    Blur what is out of focus. What a near thing spreads over is as near as the thing itself, or it would stay behind
    when the thing moves.

    :param fine: uint8 [2H - 1, 2W - 1, 3], sRGB
    :type fine: numpy.ndarray
    :param near: float32 [H, W], 0–1
    :type near: numpy.ndarray
    :param focus: nearness of what stays sharp
    :type focus: float
    :param amount: 0–1
    :type amount: float
    :return: uint8 [2H - 1, 2W - 1, 3], and nearness, float32 [H, W]
    :rtype: tuple[numpy.ndarray, numpy.ndarray]
    """
    import cv2
    import numpy as np
    height, width = near.shape
    picture = fine[::2, ::2]
    # light, not its encoding, is what a lens spreads
    light = (picture.astype(np.float32) / 255)**2.2
    widest = amount * WIDEST * max(height, width)
    limits = _limits(near, focus)
    # near things out of focus are seen through at their edges
    behind, _near = fill_behind(picture, near, find_hiding(near, widest), widest)
    result, reached = (behind.astype(np.float32) / 255)**2.2, near
    for lower, upper in zip(limits, limits[1:], strict = False):
        inside = ((near >= lower) & (near < upper)).astype(np.float32)
        if not inside.any():
            continue
        distance = max(0.0, abs((lower + upper) / 2 - focus) - SHARP)
        radius = widest * distance / max(focus, 1 - focus)
        cover, colour = inside, light
        if radius > 0.4:
            cover = _spread(inside, radius)
            colour = _spread(light * inside[..., None], radius) / np.maximum(cover, 1e-4)[..., None]
            depth = _spread(near * inside, radius) / np.maximum(cover, 1e-4)
            reached = np.where(cover > VISIBLE, np.maximum(reached, depth), reached)
        result = result + (colour - result) * cover[..., None]
    changed = np.abs(result - light).max(2)
    blurred = (255 * result.clip(0, 1)**(1 / 2.2)).round().astype(np.uint8)
    twice = cv2.resize(blurred, (2 * width, 2 * height), interpolation = cv2.INTER_CUBIC)
    keeps = cv2.resize(
        (changed < 1e-3).astype(np.uint8), (2 * width, 2 * height),
        interpolation = cv2.INTER_NEAREST)
    mixed = twice[:-1, :-1].copy()
    cv2.copyTo(fine, keeps[:-1, :-1], mixed)
    return mixed, reached


def _limits(near: 'numpy.ndarray', focus: float) -> list[float]:
    """Cut nearness into slices, that in focus being one of them, from far to near."""
    import numpy as np
    lowest, highest = float(near.min()), float(near.max()) + 1e-3
    far = np.linspace(min(lowest, focus - SHARP), focus - SHARP, SLICES + 1)
    close = np.linspace(focus + SHARP, max(highest, focus + SHARP + 1e-3), SLICES + 1)
    return [float(limit) for limit in (*far, *close)]


def _spread(values: 'numpy.ndarray', radius: float) -> 'numpy.ndarray':
    """Spread over a disc."""
    import cv2
    import numpy as np
    reach = int(radius) + 1
    y, x = np.mgrid[-reach:reach + 1, -reach:reach + 1]
    disc = (radius + 0.5 - np.hypot(x, y)).clip(0, 1).astype(np.float32)
    return cv2.filter2D(values, -1, disc / disc.sum(), borderType = cv2.BORDER_REFLECT)
