#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Guesses from a single photo what is near and what is far, without a model: what lies low, is in focus or
stands out in the middle is near; what is smooth and reaches down from the upper edge is far.

Libraries: numpy, OpenCV, both imported when first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

#: longer side of the grid on which nearness is worked out; finer detail would only tear the picture
GRID = 192

#: nearness of what stands upright behind the ground, of the ground at the lower edge, of a subject
BACKDROP, GROUND, SUBJECT = 0.35, 0.8, 0.95
#: where the ground begins, as a part of the height; level photos have their horizon about there
HORIZON = 0.45


def nearness(picture: 'numpy.ndarray') -> 'numpy.ndarray':
    """
    How near every part of a photo is.

    :param picture: uint8 [H, W, 3], sRGB
    :type picture: numpy.ndarray
    :return: float32 [h, w], the longer of h and w being at most :data:`GRID`; 0 is far, 1 near, in the
        sense of disparity (1 / distance)
    :rtype: numpy.ndarray
    """
    import cv2
    import numpy as np
    size = grid(picture)
    small = cv2.resize(picture, size, interpolation = cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB) / 100
    fine, coarse = _detail(picture, size)
    y = np.linspace(0, 1, size[1], dtype = np.float32)[:, None]
    # not an S: where it is steep, everything upright would lean as the camera moves sideways
    near = BACKDROP + (GROUND - BACKDROP) * ((y - HORIZON) / (1 - HORIZON)).clip(0, 1)
    near = near + (SUBJECT - near) * np.maximum(_subject(lab), 0.8 * _focus(fine, coarse))
    near = near * (1 - 0.9 * _backdrop(lab, fine))
    return np.clip(_guided(near.astype(np.float32), lab[..., 0]), 0, 1)


def grid(picture: 'numpy.ndarray') -> tuple[int, int]:
    """
    The size on which nearness is worked out.

    :param picture: uint8 [H, W, 3]
    :type picture: numpy.ndarray
    :return: width and height, the longer being at most :data:`GRID`
    :rtype: tuple[int, int]
    """
    height, width = picture.shape[:2]
    scale = min(1.0, GRID / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def limit_slope(near: 'numpy.ndarray', slope: float) -> 'numpy.ndarray':
    """
    Make nearness change gradually. What is near keeps its shape; the far side of an edge gives way, since it is
    mostly out of focus and nobody notices that it is stretched.

    :param near: float32 [h, w], 0–1
    :type near: numpy.ndarray
    :param slope: the greatest change from one cell of the grid to the next, above 0
    :type slope: float
    :return: float32 [h, w]
    :rtype: numpy.ndarray
    """
    import cv2
    import numpy as np
    square = np.ones((3, 3), np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    for _ in range(min(max(near.shape), int(0.5 / slope) + 1)):
        near = np.maximum(near, cv2.dilate(near, cross) - slope)
        near = np.maximum(near, cv2.dilate(near, square) - slope * 1.3)
    return cv2.GaussianBlur(near, (0, 0), 1.5)


def straightened(near: 'numpy.ndarray', picture: 'numpy.ndarray', slope: float) -> 'numpy.ndarray':
    """
    Make things that stand upright about as near at the top as where they stand: towers, poles, edges of houses.
    Everybody sees it when they bend.

    :param near: float32 [h, w], 0–1
    :type near: numpy.ndarray
    :param picture: uint8 [H, W, 3], sRGB
    :type picture: numpy.ndarray
    :param slope: as for :func:`limit_slope`, which is to be asked afterwards
    :type slope: float
    :return: float32 [h, w]
    :rtype: numpy.ndarray
    """
    import cv2
    import numpy as np
    least = 0.15
    column = np.ones((3, 1), np.uint8)
    change = slope * (1 - (1 - least) * _upright(picture, near.shape))
    for _ in range(min(near.shape[0], int(1 / (least * slope)) + 1)):
        near = np.maximum(near, cv2.dilate(near, column) - change)
    return near


def _upright(picture: 'numpy.ndarray', shape: tuple[int, int]) -> 'numpy.ndarray':
    """Where edges run up and down, on the grid: 0 nowhere, 1 certainly."""
    import cv2
    import numpy as np
    small = cv2.resize(picture, shape[::-1], interpolation = cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    tall = 3, 2 * max(1, round(0.03 * max(shape))) + 1
    across, along = (
        cv2.blur(cv2.Sobel(grey, cv2.CV_32F, *axis)**2, tall) for axis in ((1, 0), (0, 1)))
    found = _smoothstep(0.5, 0.85, (across - along) / (across + along + 1e-4))
    # the sky beside a tower moves with it, or its edge would bend
    return cv2.dilate(found * _smoothstep(0.002, 0.02, across), np.ones((3, 5), np.uint8))


def _smoothstep(start: float, end: float, values: 'numpy.ndarray') -> 'numpy.ndarray':
    """0 up to ``start``, 1 from ``end`` on, an S between."""
    x = ((values - start) / (end - start)).clip(0, 1)
    return x * x * (3 - 2 * x)


def _blur(values: 'numpy.ndarray', part: float) -> 'numpy.ndarray':
    """A Gaussian blur whose radius is a part of the grid's longer side."""
    import cv2
    return cv2.GaussianBlur(values, (0, 0), max(0.3, part * max(values.shape[:2])))


def _detail(picture: 'numpy.ndarray', size: tuple[int, int]) -> list['numpy.ndarray']:
    """Strength of the finest detail and of detail some pixels wide, on the grid."""
    import cv2
    import numpy as np
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    once, twice = cv2.GaussianBlur(grey, (0, 0), 1), cv2.GaussianBlur(grey, (0, 0), 3)
    bands = cv2.absdiff(grey, once), cv2.absdiff(once, twice)
    return [
        cv2.resize(band, size, interpolation = cv2.INTER_AREA).astype(np.float32) / 255
        for band in bands
    ]


def _focus(fine: 'numpy.ndarray', coarse: 'numpy.ndarray') -> 'numpy.ndarray':
    """What is in focus, in photos of which a good part is not; places without detail take after those around."""
    import numpy as np
    fine, coarse = _blur(fine, 0.04), _blur(coarse, 0.04)
    ratio = fine / (coarse + 0.004)
    seen = ratio[coarse > 0.006]
    if not len(seen):
        return np.zeros_like(ratio)
    blurred, sharp = np.percentile(seen, (20, 98))
    in_focus = _smoothstep(0.3, 0.7, (ratio - blurred) / (sharp - blurred + 1e-3))
    return in_focus * _smoothstep(2, 4, sharp / (blurred + 1e-3))


def _subject(lab: 'numpy.ndarray') -> 'numpy.ndarray':
    """What differs in colour from most of the photo's rim, more so in the middle."""
    import cv2
    import numpy as np
    height, width = lab.shape[:2]
    coarse = cv2.pyrDown(_blur(lab, 0.01)) * np.array((0.5, 1, 1), np.float32)
    band = max(1, min(coarse.shape[:2]) // 12)
    rim = np.concatenate(
        [part.reshape(-1, 3) for part in (coarse[:band], coarse[:, :band], coarse[:, -band:])])
    rim = rim[::len(rim) // 96 + 1]
    distances = np.abs(coarse[..., None] - rim.T).sum(2)
    alike = max(1, len(rim) // 20)
    distance = np.partition(distances, alike - 1, axis = 2)[..., :alike].mean(2)
    distance = cv2.resize(distance, (width, height), interpolation = cv2.INTER_CUBIC)
    y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j].astype(np.float32)
    return _smoothstep(0.1, 0.3, distance * np.exp(-1.2 * (x * x + y * y)))


def _backdrop(lab: 'numpy.ndarray', fine: 'numpy.ndarray') -> 'numpy.ndarray':
    """Sky, a wall, a blurred background: without detail, and reaching down from the upper edge."""
    import cv2
    import numpy as np
    edges = np.abs(cv2.Laplacian(_blur(lab[..., 0], 0.004), cv2.CV_32F))
    smooth = ((_blur(fine, 0.006) < 0.008) & (edges < 0.03)).astype(np.uint8)
    core = cv2.erode(smooth, np.ones((3, 3), np.uint8)).astype(np.uint8)
    labels = cv2.connectedComponents(core, connectivity = 4)[1]
    reaching = np.unique(labels[0])
    far = np.isin(labels, reaching[reaching > 0]).astype(np.float32)
    # the rim stays with what stands before it: a bent skyline is seen, a bent sky is not
    return _blur(cv2.erode(far, np.ones((7, 7), np.uint8)), 0.006)


def _guided(values: 'numpy.ndarray', guide: 'numpy.ndarray') -> 'numpy.ndarray':
    """Smooth, yet keep to the picture's edges (He, Sun, Tang: Guided Image Filtering, 2010)."""
    import cv2
    side = 2 * max(1, round(0.04 * max(values.shape))) + 1

    def mean(image):
        return cv2.boxFilter(image, -1, (side, side), borderType = cv2.BORDER_REFLECT)

    guide_mean, mean_of_values = mean(guide), mean(values)
    variance = mean(guide * guide) - guide_mean**2
    slope = (mean(guide * values) - guide_mean * mean_of_values) / (variance + 0.003)
    return mean(slope) * guide + mean(mean_of_values - slope * guide_mean)
