#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a moved camera sees behind near things: where that is, and a guess of how it looks.

Libraries: numpy, OpenCV, both imported when first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

#: standard deviations of the blurs of what is continued behind near things, between which is interpolated, pixels
WIDTHS = (2.0, 6.0, 18.0)
#: how far behind an edge is filled, in terms of what can come into view
REACH = 1.15
#: what is nearer than this part of the depth around it says nothing of what lies behind
FAR = 0.8
#: how much of the detail beside a near thing is repeated behind it
DETAIL = 0.3
#: how far nearness may differ from that at the edge where detail is taken from
ALIKE = 0.06


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
    slope = 1 / (REACH * travel + 1)
    low = near
    for _ in range(int(float(np.ptp(near)) / slope / 2) + 2):
        low = np.minimum(low, cv2.erode(low, cross) + slope)
        low = np.minimum(low, cv2.erode(low, square) + 1.4 * slope)
    return near - low > smallest_step(travel)


def smallest_step(travel: float) -> float:
    """
    Compute the smallest step of nearness that is taken for an edge when pixels move.

    :param travel: how far the nearest moves against the farthest, in pixels
    :type travel: float
    :return: nearness; about a pixel of travel
    :rtype: float
    """
    return max(0.02, 1 / max(travel, 1.0))


def fill_behind(picture: 'numpy.ndarray', near: 'numpy.ndarray', hiding: 'numpy.ndarray',
                travel: float) -> tuple['numpy.ndarray', 'numpy.ndarray']:
    """
    Guess what lies behind near things from what is seen beside them on the far side.

    :param picture: uint8 [H, W, 3]
    :type picture: numpy.ndarray
    :param near: float32 [H, W], 0–1
    :type near: numpy.ndarray
    :param hiding: bool [H, W], from :func:`find_hiding`
    :type hiding: numpy.ndarray
    :param travel: how far the nearest moves against the farthest, in pixels
    :type travel: float
    :return: colour, uint8 [H, W, 3], and nearness, float32 [H, W]; the photo's own where nothing is hidden
    :rtype: tuple[numpy.ndarray, numpy.ndarray]
    """
    import cv2
    import numpy as np
    known = _find_far(near, travel) & ~hiding
    depth, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType = cv2.DIST_LABEL_PIXEL)
    places = np.zeros(int(labels.max()) + 1, np.intp)
    places[labels[known]] = np.flatnonzero(known)
    beside = places[labels]
    nearest = np.dstack([picture, near * 255]).reshape(-1, 4)[beside].astype(np.float32)
    # the deeper, the less is known; what is blurred away as far on this side of the edge is the detail that lacks
    depth += cv2.distanceTransform(known.astype(np.uint8), cv2.DIST_L2, 5)
    smooth = _blur_by(nearest, depth)
    rows, columns = np.nonzero(hiding)
    edge = np.stack(np.divmod(beside[hiding], near.shape[1]))
    mirrored = 2 * edge - (rows, columns)
    at = tuple(
        np.clip(each, 0, side - 1) for each, side in zip(mirrored, near.shape, strict = True))
    is_alike = np.equal(at, mirrored).all(0) & known[at]
    is_alike &= np.abs(near[at] - near[tuple(edge)]) < ALIKE
    filled = smooth[hiding]
    filled[:, :3] += (DETAIL * is_alike)[:, None] * (nearest - smooth)[at][:, :3]
    colour, behind = picture.copy(), near.copy()
    colour[hiding] = filled[:, :3].round().clip(0, 255)
    behind[hiding] = np.minimum(filled[:, 3] / 255, near[hiding])
    return colour, behind


def _find_far(near: 'numpy.ndarray', travel: float) -> 'numpy.ndarray':
    """Find pixels that are not of a near thing: nothing much farther lies around them."""
    import cv2
    import numpy as np
    around = np.ones((2 * int(2 * REACH * travel) + 3, ) * 2, np.uint8)
    farthest = cv2.erode(near, around)
    return near - farthest <= np.maximum(FAR * (cv2.dilate(near, around) - farthest), 0.03)


def _blur_by(values: 'numpy.ndarray', sigma: 'numpy.ndarray') -> 'numpy.ndarray':
    """Blur float32 [H, W, C] at each place by a width of its own, [H, W], in pixels."""
    import cv2
    blurred, last, last_width = values.copy(), values, 0.0
    for width in WIDTHS:
        # what is already blurred loses nothing on a grid as coarse as a quarter of its width
        scale = max(1, int(width / 4))
        height, length = (max(1, round(side / scale)) for side in values.shape[:2])
        small = cv2.resize(last, (length, height), interpolation = cv2.INTER_AREA)
        more = (width**2 - last_width**2)**0.5 / scale
        next_ = cv2.resize(
            cv2.GaussianBlur(small, (0, 0), more),
            values.shape[1::-1],
            interpolation = cv2.INTER_LINEAR)
        share = ((sigma - last_width) / (width - last_width)).clip(0, 1)
        blurred += (next_ - last) * share[..., None]
        last, last_width = next_, width
    return blurred
