#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The photo flows: two copies of it are carried along the field, one that leaves the photo and one that arrives at it, and
the first fades into the second; so the loop closes, and frame 0 is the photo (Holynski et al. 2021). The page's preview
computes the same.

Libraries: numpy, OpenCV, both imported when a clip is made.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modules.engines.camera.flow_field import (
    Field,
    grid_size,
    limit_share,
    make_field,
    smooth_step,
    sum_around,
)
from modules.engines.camera.flow_moment import Moment, sample
from modules.progress import StopIfCancelled, do_nothing
from modules.request.drawing import Flow

if TYPE_CHECKING:
    import numpy

#: a loop takes about as many seconds
LOOP_SECONDS = 3
#: cells that a trace goes in one step, at most; the least and the most steps
STRIDE, LEAST_STEPS, MOST_STEPS = 1.5, 4, 64
#: how long a place takes to fade, in loops; how much by chance, and by the shorter way, it fades earlier or later
FADE, BY_CHANCE, BY_WAY = 0.4, 0.12, 0.18
#: cells between places that fade by chance
PATCH = 10
#: radius, in cells, of what is a detail whose contrast is kept
DETAIL = 8
#: least weight of a cell where nothing flows
FAINT = 1e-4


@dataclass(frozen = True)
class Stream:
    """A photo that flows, for one clip."""

    #: frames of a loop
    period: float
    #: float32 [H, W], 0–1, how much of what flows is seen
    alpha: 'numpy.ndarray'
    #: on the grid: the way back to where a colour comes from, and the way on, after each part of a loop, in cells,
    #: float32 [steps + 1, 2, h, w]
    back: 'numpy.ndarray'
    forth: 'numpy.ndarray'
    #: float32 [h, w]: when a place fades, in loops; how alike both copies are, 0–1
    fade: 'numpy.ndarray'
    likeness: 'numpy.ndarray'
    #: float32 [h, w, 4], 0–255, the photo without details
    plain: 'numpy.ndarray'
    #: how far beyond a border a way may lead, in half pixels
    reach: int

    def at(self, frame: int) -> Moment | None:
        """
        Compute a moment.

        :param frame: number of the frame
        :type frame: int
        :return: the moment; None where the photo is as it was taken
        :rtype: Moment | None
        """
        import cv2
        import numpy as np
        time = frame / self.period % 1
        if not time:
            return None
        back, forth = _at(self.back, time), _at(self.forth, 1 - time)
        weight = smooth_step((time - self.fade) / FADE + 0.5)
        rest = 1 - weight
        gain = 1 / np.sqrt(weight**2 + rest**2 + 2 * weight * rest * self.likeness)
        before, after = (_sample_cells(self.plain, way) for way in (back, forth))
        (height, width), (rows, columns) = self.alpha.shape, weight.shape
        ways = tuple(way[axis] * np.float32(2 * (width / columns, height / rows)[axis])
                     for way in (back, forth) for axis in (0, 1))
        mixed = cv2.blendLinear(before, after, rest, weight)
        return Moment(ways, weight, gain, mixed.round().astype(np.uint8))

    def mark(self, colours: 'numpy.ndarray') -> 'numpy.ndarray':
        """
        Add to colours how much of each flows.

        :param colours: uint8 [2H - 1, 2W - 1, 3], the photo sampled twice as densely as a frame
        :type colours: numpy.ndarray
        :return: uint8 [2H - 1, 2W - 1, 4]
        :rtype: numpy.ndarray
        """
        import cv2
        import numpy as np
        height, width = self.alpha.shape
        alpha = (255 * self.alpha).round().astype(np.uint8)
        twice = cv2.warpAffine(
            alpha,
            np.array(((0.5, 0, 0), (0, 0.5, 0))), (2 * width - 1, 2 * height - 1),
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return cv2.merge([*cv2.split(colours), twice])


def make_stream(flow: Flow,
                still: 'numpy.ndarray',
                frames: int,
                seconds: float,
                stop_if_cancelled: StopIfCancelled = do_nothing) -> Stream | None:
    """
    Prepare a photo that flows.

    :param flow: what was drawn
    :type flow: Flow
    :param still: uint8 [H, W, 3], sRGB
    :type still: numpy.ndarray
    :param frames: how many the clip has
    :type frames: int
    :param seconds: how long it is
    :type seconds: float
    :param stop_if_cancelled: called between strokes
    :type stop_if_cancelled: StopIfCancelled
    :return: the photo, flowing; None where nothing flows
    :rtype: Stream | None
    """
    import cv2
    import numpy as np
    size = still.shape[1::-1]
    guide = cv2.resize(still.astype(np.float32), grid_size(size), interpolation = cv2.INTER_AREA)
    guide = guide.astype(float) / 255
    field = make_field(flow, guide, stop_if_cancelled)
    alpha = _find_alpha(field, still)
    if not field.velocity.any() or not alpha.any():
        return None
    loops = max(1, math.floor(seconds / LOOP_SECONDS + 0.5))
    velocity = field.velocity * (seconds / loops / LOOP_SECONDS)
    fastest = float(np.hypot(velocity[..., 0], velocity[..., 1]).max())
    steps = min(MOST_STEPS, max(LEAST_STEPS, math.ceil(fastest / STRIDE)))
    back, forth = (_trace(velocity, direction, steps) for direction in (-1, 1))
    weights = np.maximum(field.share, FAINT)[..., None]
    plain = guide
    for _ in range(2):
        plain = sum_around(weights * plain, DETAIL) / sum_around(weights, DETAIL)
    detail = (guide - plain).mean(2).astype(np.float32)
    likeness = _compare(detail, _sample_cells(detail, forth[-1]), weights[..., 0])
    fade = _plan_fade(back[-1], forth[-1]).astype(np.float32)
    return Stream(frames / loops, alpha, back, forth, fade, likeness.astype(np.float32),
                  cv2.cvtColor((255 * plain).astype(np.float32), cv2.COLOR_RGB2RGBA),
                  _find_reach(back, forth, size))


def _find_alpha(field: Field, still: 'numpy.ndarray') -> 'numpy.ndarray':
    """Find how much of every pixel flows, float32 [H, W]; exactly 0 beyond the strokes."""
    import cv2
    import numpy as np
    size = still.shape[1::-1]
    slope, level, limit = (
        cv2.resize(values.astype(np.float32), size)
        for values in (field.slope, field.level, field.limit))
    share = cv2.multiply(slope, still, scale = 1 / 255, dtype = cv2.CV_32F).sum(2) + level
    return (limit_share(share) * limit).astype(np.float32)


def _trace(velocity: 'numpy.ndarray', direction: int, steps: int) -> 'numpy.ndarray':
    """Follow the field from every cell for one loop, by midpoints: ways, float32 [steps + 1, 2, h, w]."""
    import numpy as np
    planes = velocity.transpose(2, 0, 1).astype(np.float32)
    ways = [np.zeros_like(planes)]
    for _ in range(steps):
        half = np.stack([_sample_cells(plane, ways[-1], is_mirrored = False) for plane in planes])
        middle = ways[-1] + half * np.float32(direction / steps / 2)
        whole = np.stack([_sample_cells(plane, middle, is_mirrored = False) for plane in planes])
        ways.append(ways[-1] + whole * np.float32(direction / steps))
    return np.stack(ways)


def _plan_fade(back: 'numpy.ndarray', forth: 'numpy.ndarray') -> 'numpy.ndarray':
    """
    Plan when places fade: not all at once, and earlier where the first copy has come to an edge or border, where it
    would be drawn out.
    """
    import numpy as np
    height, width = back.shape[1:]
    rows, columns = np.mgrid[:height, :width] + 0.5

    def length(way: 'numpy.ndarray') -> 'numpy.ndarray':
        return np.hypot(
            np.clip(columns + way[0], 0, width) - columns,
            np.clip(rows + way[1], 0, height) - rows)

    before, after = length(back), length(forth)
    by_way = (before - after) / (before + after + 1e-6)
    return 0.5 + BY_CHANCE * (2 * _noise(height, width) - 1) + BY_WAY * by_way


def _noise(height: int, width: int) -> 'numpy.ndarray':
    """Make smooth noise that is the same everywhere, 0–1."""
    import numpy as np
    rows, columns = np.mgrid[:height // PATCH + 2, :width // PATCH + 2].astype(np.uint32)
    values = columns * np.uint32(374761393) + rows * np.uint32(668265263)
    values = (values ^ (values >> 13)) * np.uint32(1274126177)
    values = (values ^ (values >> 16)) / 2**32
    at = [(np.arange(side) + 0.5) / PATCH for side in (height, width)]
    for axis, places in enumerate(at):
        lower = places.astype(int)
        rest = smooth_step(places - lower).reshape((-1, 1) if axis == 0 else (1, -1))
        values = values.take(lower, axis) * (1 - rest) + values.take(lower + 1, axis) * rest
    return values


def _find_reach(back: 'numpy.ndarray', forth: 'numpy.ndarray', size: tuple[int, int]) -> int:
    """Find how far beyond a border ways lead, in half pixels, with a few to spare."""
    import numpy as np
    farthest = 0.0
    for axis, side in enumerate(size):
        cells = back.shape[-1 - axis]
        at = np.arange(cells).reshape((1, -1) if axis == 0 else (-1, 1))
        for ways in (back, forth):
            ends = ways[:, axis] + at
            beyond = max(-float(ends.min()), float(ends.max()) - cells + 1) + 2
            farthest = max(farthest, 2 * beyond * side / cells)
    return math.ceil(farthest)


def _compare(first: 'numpy.ndarray', second: 'numpy.ndarray',
             weights: 'numpy.ndarray') -> 'numpy.ndarray':
    """Correlate two pictures place by place, 0–1."""
    import numpy as np
    common, one, other = (
        sum_around(weights * each, DETAIL)
        for each in (first * second, first * first, second * second))
    scale = np.sqrt(one * other)
    return np.where(scale < 1e-9, 0, common / np.maximum(scale, 1e-9)).clip(0, 1)


def _at(ways: 'numpy.ndarray', time: float) -> 'numpy.ndarray':
    """Interpolate ways at a time, 0–1."""
    place = time * (len(ways) - 1)
    lower = min(int(place), len(ways) - 2)
    return ways[lower] + (ways[lower + 1] - ways[lower]) * (place - lower)


def _fold(places: 'numpy.ndarray', side: int) -> 'numpy.ndarray':
    """Mirror what lies beyond the borders, which are half a cell outside the outermost centres."""
    import numpy as np
    half = np.float32(0.5)
    return side - half - np.abs(side - np.abs(places + half))


def _sample_cells(values: 'numpy.ndarray',
                  way: 'numpy.ndarray',
                  *,
                  is_mirrored: bool = True) -> 'numpy.ndarray':
    """Interpolate values of the grid where ways from its cells lead."""
    import numpy as np
    height, width = values.shape[:2]
    x = way[0] + np.arange(width, dtype = np.float32)
    y = way[1] + np.arange(height, dtype = np.float32)[:, None]
    if is_mirrored:
        x, y = _fold(x, width), _fold(y, height)
    return sample(values, (x, y))
