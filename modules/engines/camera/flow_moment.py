#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The flowing photo at one moment of its loop, painted into a frame, wherever the camera is.

Libraries: numpy, OpenCV, both imported when a clip is made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

#: columns and rows, float32 [h, w] each
Place = tuple['numpy.ndarray', 'numpy.ndarray']
#: gives the photo's colours, uint8 [h, w, 4], at places in it in half pixels; the slices say which part of the frame
LookUp = Callable[[Place, tuple[slice, slice]], 'numpy.ndarray']


@dataclass(frozen = True)
class Moment:
    """The flowing photo at one moment."""

    #: float32 [H, W], 0–1, how much of what flows is seen
    alpha: 'numpy.ndarray'
    #: on the grid, float32: the ways to both copies in half pixels, across and down each, [h, w]; the weight of the
    #: second, [h, w]; colour becomes ``gain * colour + rest``, [h, w, 4] each
    ways: tuple['numpy.ndarray', ...]
    weight: 'numpy.ndarray'
    gain: 'numpy.ndarray'
    rest: 'numpy.ndarray'

    def paint(self, into: 'numpy.ndarray', look_up: LookUp, place: Place | None = None) -> None:
        """
        Paint what flows into a frame.

        :param into: the frame without it, uint8 [H, W, 3], is painted over
        :type into: numpy.ndarray
        :param look_up: gives the photo's colours
        :type look_up: LookUp
        :param place: what of the photo the frame shows, in pixels; None for all of it as it is
        :type place: Place | None
        """
        import cv2
        import numpy as np
        alpha = self.alpha if place is None else sample(self.alpha, place)
        left, upper, width, height = cv2.boundingRect((alpha > 0).view(np.uint8))
        if not width:
            return
        part = (slice(upper, upper + height), slice(left, left + width))
        alpha = np.ascontiguousarray(alpha[part])
        cells = place and self._find_cells(place)

        def spread(values: 'numpy.ndarray') -> 'numpy.ndarray':
            # the field is too smooth for more than a look-up a cell
            shown = values if cells is None else sample(values, cells)
            return np.ascontiguousarray(cv2.resize(shown, self.alpha.shape[::-1])[part])

        first, second = (
            look_up(self._find_copy(number, place, part, spread), part) for number in (0, 1))
        weight = spread(self.weight)
        mixed = cv2.blendLinear(first, second, 1 - weight, weight)
        mixed = cv2.multiply(mixed, spread(self.gain), dtype = cv2.CV_32F)
        mixed = cv2.add(mixed, spread(self.rest), dtype = cv2.CV_8U)
        mixed = cv2.cvtColor(mixed, cv2.COLOR_RGBA2RGB)
        still = np.ascontiguousarray(into[part])
        mixed = cv2.blendLinear(still, mixed, 1 - alpha, alpha)
        cv2.copyTo(mixed, (alpha > 0).view(np.uint8), still)
        into[part] = still

    def _find_cells(self, place: Place) -> Place:
        """Find what of the grid the frame shows, a cell each."""
        import cv2
        import numpy as np
        rows, columns = self.weight.shape
        height, width = self.alpha.shape
        x, y = (cv2.resize(values, (columns, rows)) for values in place)
        half = np.float32(0.5)
        return (x + half) * np.float32(columns / width) - half, (y + half) * np.float32(
            rows / height) - half

    def _find_copy(self, number: int, place: Place | None, part: tuple[slice, slice],
                   spread: Callable[['numpy.ndarray'], 'numpy.ndarray']) -> Place:
        """Find where a copy has its colours from, in half pixels."""
        import cv2
        import numpy as np
        across, down = (spread(way) for way in self.ways[2 * number:2 * number + 2])
        if place is not None:
            return cv2.scaleAdd(place[0][part], 2, across), cv2.scaleAdd(place[1][part], 2, down)
        height, width = self.alpha.shape
        across += 2 * np.arange(width, dtype = np.float32)[part[1]]
        down += 2 * np.arange(height, dtype = np.float32)[part[0], None]
        return across, down


def sample(values: 'numpy.ndarray', place: Place) -> 'numpy.ndarray':
    """
    Interpolate values; those at the borders go on beyond.

    :param values: float32 [h, w, ...]
    :type values: numpy.ndarray
    :param place: where
    :type place: Place
    :return: the values there
    :rtype: numpy.ndarray
    """
    import cv2
    return cv2.remap(values, *place, cv2.INTER_LINEAR, borderMode = cv2.BORDER_REPLICATE)


def fold(places: 'numpy.ndarray', side: int) -> 'numpy.ndarray':
    """
    Mirror at the borders, half a step outside the outermost centres, what lies beyond them.

    :param places: columns or rows, float32
    :type places: numpy.ndarray
    :param side: how many there are
    :type side: int
    :return: the same within the borders
    :rtype: numpy.ndarray
    """
    import numpy as np
    half = np.float32(0.5)
    # large arrays: what is new costs more than what is computed
    found = np.abs(places + half)
    np.subtract(side, found, out = found)
    np.abs(found, out = found)
    return np.subtract(side - half, found, out = found)
