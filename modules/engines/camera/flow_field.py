#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From strokes that were drawn on a photo to a field of velocity: where it flows, how fast and which way. All of it
happens on a grid of few cells and in plain arithmetic, because the page computes the same field for its preview.

Libraries: numpy, OpenCV, both imported when a clip is made.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modules.progress import StopIfCancelled, do_nothing
from modules.request.drawing import Flow, Stroke

if TYPE_CHECKING:
    import numpy

#: cells along the longer side; never more than there are pixels
CELLS = 256
#: how far a stroke of speed 1 moves things in three seconds, as a part of the longer side
REACH = 0.1
#: cells beyond its width in which a stroke ends; the widest that its soft edge can be
MARGIN, SOFT = 3.0, 4.0
#: the least radius of a stroke and of a pin, in cells
LEAST_RADIUS, LEAST_PIN = 1.5, 1.0
#: radius, in cells, over which a tangent is smoothed, at most
SMOOTHED = 6.0
#: guided filter: radius in cells, and the variance of colour below which nothing is an edge
GUIDE_RADIUS, GUIDE_EPSILON = 4, 0.001
#: radius, in cells, up to which a stroke is too thin for the guided filter, and from twice which it is not at all
THIN = 6.0
#: share of flow from which a cell moves, and how much above it moves in full
STAYS, RAMP = 0.5, 0.45
#: histograms of colour: bins a channel, what every bin is given in advance, and between which ratios a colour becomes
#: one that flows
BINS, PRIOR, UNLIKE, LIKE = 8, 1 / 512, 0.2, 0.4


@dataclass(frozen = True)
class Field:
    """What flows, on the grid; all float64."""

    #: [h, w, 2], cells in three seconds
    velocity: 'numpy.ndarray'
    #: [h, w], 0–1, how much a cell takes part
    share: 'numpy.ndarray'
    #: [h, w, 3], [h, w]: ``slope · colour + level`` is the share at a pixel of that colour, before :attr:`limit`
    slope: 'numpy.ndarray'
    level: 'numpy.ndarray'
    #: [h, w], 0–1; 0 on pins and where no stroke reaches
    limit: 'numpy.ndarray'


@dataclass(frozen = True)
class _Line:
    """A stroke or pin on the grid."""

    #: float64 [N, 2], directions of length 1, or 0 where there is none
    tangents: 'numpy.ndarray'
    #: indices of cells in the flattened grid, one a sample
    cells: 'numpy.ndarray'
    #: float32 [h, w], cells to the nearest sample
    distance: 'numpy.ndarray'
    radius: float
    #: cells in three seconds
    speed: float

    @property
    def smoothing(self) -> int:
        """Radius, in cells, of the squares over which its velocity is smoothed three times."""
        return math.ceil((self.radius + MARGIN) / 3)


def grid_size(size: tuple[int, int]) -> tuple[int, int]:
    """
    Compute the size of the grid.

    :param size: width and height of a frame
    :type size: tuple[int, int]
    :return: columns and rows
    :rtype: tuple[int, int]
    """
    part = min(CELLS, max(size)) / max(size)
    return max(1, math.floor(size[0] * part + 0.5)), max(1, math.floor(size[1] * part + 0.5))


def make_field(flow: Flow,
               guide: 'numpy.ndarray',
               stop_if_cancelled: StopIfCancelled = do_nothing) -> Field:
    """
    Make the field.

    :param flow: what was drawn
    :type flow: Flow
    :param guide: the photo on the grid, float64 [h, w, 3], 0–1, sRGB
    :type guide: numpy.ndarray
    :param stop_if_cancelled: called between strokes
    :type stop_if_cancelled: StopIfCancelled
    :return: the field
    :rtype: Field
    """
    import numpy as np
    shape = guide.shape[:2]
    pinned = np.zeros(shape)
    for pin in flow.pins:
        stop_if_cancelled()
        line = _draw(pin, shape, LEAST_PIN)
        pinned = np.maximum(pinned, smooth_step((line.radius + 2 - line.distance) / 2))
    lines = []
    for stroke in flow.strokes:
        stop_if_cancelled()
        line = _draw(stroke, shape, LEAST_RADIUS)
        lines += [line] if line.tangents.any() else []
    cover, reach, thin = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for line, likeness in zip(lines, _find_likeness(lines, pinned, guide), strict = True):
        stop_if_cancelled()
        soft = smooth_step((line.radius - line.distance) / min(line.radius, SOFT))
        part = soft * likeness
        cover = np.maximum(cover, part)
        thin = np.maximum(thin, part * (1 - smooth_step(np.array(line.radius / THIN - 1))))
        reach = np.maximum(reach, smooth_step((line.radius + MARGIN - line.distance) / MARGIN))
    limit = reach * (1 - pinned)
    thin *= 1 - pinned
    slope, level = _fit_to_edges(cover * (1 - pinned), guide)
    slope, level = slope * (1 - thin)[..., None], level * (1 - thin) + (STAYS + RAMP) * thin
    share = limit_share((slope * guide).sum(2) + level) * limit
    moves = np.maximum(_narrow(share), thin * share)
    return Field(
        _blend(lines, shape, stop_if_cancelled) * moves[..., None], share, slope, level, limit)


def limit_share(values: 'numpy.ndarray') -> 'numpy.ndarray':
    """
    Turn what the guided filter gives into a share.

    :param values: any array
    :type values: numpy.ndarray
    :return: 0–1
    :rtype: numpy.ndarray
    """
    return smooth_step((values - STAYS) / RAMP)


def smooth_step(values: 'numpy.ndarray') -> 'numpy.ndarray':
    """
    Go smoothly from 0 at 0 to 1 at 1.

    :param values: any array
    :type values: numpy.ndarray
    :return: 0–1
    :rtype: numpy.ndarray
    """
    import numpy as np
    limited = np.clip(values, 0, 1)
    return limited * limited * (3 - 2 * limited)


def sum_around(values: 'numpy.ndarray', radius: int) -> 'numpy.ndarray':
    """
    Sum over squares; nothing lies beyond the grid.

    :param values: float64 [h, w, ...]
    :type values: numpy.ndarray
    :param radius: of the squares, in cells; their side is twice that and one
    :type radius: int
    :return: the sums, of the same shape; exact where values are whole
    :rtype: numpy.ndarray
    """
    import cv2
    side = 2 * radius + 1
    sums = cv2.boxFilter(
        values.reshape(*values.shape[:2], -1),
        -1, (side, side),
        normalize = False,
        borderType = cv2.BORDER_CONSTANT)
    return sums.reshape(values.shape)


def _draw(stroke: Stroke, shape: tuple[int, ...], least: float) -> _Line:
    """Lay a stroke on the grid: two samples a cell along its length."""
    import cv2
    import numpy as np
    height, width = shape
    longer = max(shape)
    points = np.array(stroke.points, float) * (width, height)
    radius = max(least, stroke.width * longer / 2)
    along = np.append(0, np.cumsum(np.hypot(*np.diff(points, axis = 0).T)))
    count = math.floor(2 * along[-1]) + 2 if along[-1] else 1
    at = np.linspace(0, along[-1], count)
    samples = np.stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)], 1)
    apart = max(1, math.floor(2 * min(radius, SMOOTHED) + 0.5))
    index = np.arange(count)
    chords = samples[np.minimum(count - 1, index + apart)] - samples[np.maximum(0, index - apart)]
    lengths = np.hypot(*chords.T)[:, None]
    tangents = np.where(lengths < 1e-9, 0, chords / np.maximum(lengths, 1e-9))
    columns, rows = np.minimum(samples.astype(int), (width - 1, height - 1)).T
    empty = np.ones(shape, np.uint8)
    empty[rows, columns] = 0
    distance = cv2.distanceTransform(empty, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return _Line(tangents, rows * width + columns, distance, radius, REACH * longer * stroke.speed)


def _find_likeness(lines: list[_Line], pinned: 'numpy.ndarray',
                   guide: 'numpy.ndarray') -> Iterator['numpy.ndarray']:
    """Compare each stroke's own colours with those around: 0 where it reaches over something else, 1 where not."""
    import numpy as np
    number = sum_around(np.ones((*pinned.shape, 1)), 1)
    bins, weights = _soft_bins(sum_around(guide, 1) / number)

    def count(is_inside: 'numpy.ndarray') -> 'numpy.ndarray':
        inside = is_inside.ravel()
        found = np.bincount(bins[:, inside].ravel(), weights[:, inside].ravel(), BINS**3)
        return found / max(found.sum(), 1e-9)

    around = pinned >= 1
    around |= np.all([line.distance > line.radius + MARGIN for line in lines], 0)
    stays = (weights * count(around)[bins]).sum(0)
    for line in lines:
        core = (line.distance <= max(1, line.radius / 3)) & (pinned < 1)
        flows = (weights * count(core)[bins]).sum(0)
        ratio = (flows + PRIOR) / (flows + stays + 2 * PRIOR)
        yield smooth_step((ratio - UNLIKE) / (LIKE - UNLIKE)).reshape(pinned.shape)


def _soft_bins(colours: 'numpy.ndarray') -> tuple['numpy.ndarray', 'numpy.ndarray']:
    """Give every colour its eight nearest bins, and how much it belongs to each: [8, cells] both."""
    import numpy as np
    places = colours.reshape(-1, 3) * (BINS - 1)
    lower = np.minimum(places.astype(int), BINS - 2)
    rest = places - lower
    bins, weights = [], []
    for upper in np.ndindex(2, 2, 2):
        bins.append((lower + upper) @ (BINS * BINS, BINS, 1))
        weights.append(np.where(upper, rest, 1 - rest).prod(1))
    return np.array(bins), np.array(weights)


def _fit_to_edges(cover: 'numpy.ndarray',
                  guide: 'numpy.ndarray') -> tuple['numpy.ndarray', 'numpy.ndarray']:
    """
    Fit cover to the edges of the photo (guided filter; He, Sun, Tang 2013). The fit can be used at any pixel (He, Sun
    2015).
    """
    import numpy as np
    number = sum_around(np.ones(cover.shape), GUIDE_RADIUS)

    def mean(values: 'numpy.ndarray') -> 'numpy.ndarray':
        return sum_around(values, GUIDE_RADIUS) / number.reshape(*cover.shape, *[1] *
                                                                 (values.ndim - 2))

    colour, share = mean(guide), mean(cover)
    products = mean(guide[..., :, None] * guide[..., None, :])
    spread = products - colour[..., :, None] * colour[..., None, :] + GUIDE_EPSILON * np.eye(3)
    common = mean(guide * cover[..., None]) - colour * share[..., None]
    slope = np.linalg.solve(spread, common[..., None])[..., 0]
    return mean(slope), mean(share - (slope * colour).sum(2))


def _narrow(share: 'numpy.ndarray') -> 'numpy.ndarray':
    """Keep away from edges, so that what lies on one stays in place."""
    import cv2
    import numpy as np
    square = np.ones((3, 3), np.uint8)
    inner = cv2.erode(share, square, borderType = cv2.BORDER_REPLICATE)
    return np.minimum(share, cv2.blur(inner, (3, 3), borderType = cv2.BORDER_REPLICATE))


def _count_samples(line: _Line, shape: tuple[int, ...]) -> 'numpy.ndarray':
    """Count a cell's samples and add up their velocities, [h, w, 3]."""
    import numpy as np
    return np.stack([
        np.bincount(line.cells, weights, shape[0] * shape[1])
        for weights in (None, *(line.speed * line.tangents.T))
    ], 1).reshape(*shape, 3)


def _blend(lines: list[_Line], shape: tuple[int, ...],
           stop_if_cancelled: StopIfCancelled) -> 'numpy.ndarray':
    """Blend the velocities of strokes (normalised convolution), [h, w, 2]."""
    import numpy as np
    total = np.zeros((*shape, 3))
    # strokes that are smoothed alike are smoothed together
    for radius in sorted({line.smoothing for line in lines}):
        values = np.zeros((*shape, 3))
        for line in lines:
            if line.smoothing == radius:
                stop_if_cancelled()
                values += _count_samples(line, shape)
        for _ in range(3):
            values = sum_around(values, radius)
        total += values * (2 * radius + 1.0)**-6
    weight = total[..., :1]
    return np.where(weight > 0, total[..., 1:] / np.where(weight > 0, weight, 1), 0)
