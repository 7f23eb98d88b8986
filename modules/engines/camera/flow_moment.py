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
#: gives a photo's colours, uint8 [h, w, 4], at places in it
LookUp = Callable[[Place], 'numpy.ndarray']


@dataclass(frozen = True)
class Sight:
    """What of a flowing photo a frame shows."""

    #: float32 [H, W], 0–1, how much of what flows is seen
    alpha: 'numpy.ndarray'
    #: float32 [H, W] each, where a pixel has its colour from while nothing flows, in half pixels of the photo
    place: Place
    #: float32 [h, w] each, the cells of the grid that are seen, evenly over the frame; None for all as they are
    cells: Place | None = None
    #: what is added to the places of what flows
    rim: int = 0


@dataclass(frozen = True)
class Moment:
    """The flowing photo at one moment."""

    #: on the grid: the ways to both copies in half pixels, across and down each, float32 [h, w]; the weight of the
    #: second, and how far colours go away from those without details, float32 [h, w]; those, uint8 [h, w, 4]
    ways: tuple['numpy.ndarray', ...]
    weight: 'numpy.ndarray'
    gain: 'numpy.ndarray'
    plain: 'numpy.ndarray'

    def paint(self, into: 'numpy.ndarray', look_up: LookUp, sight: Sight) -> None:
        """
        Paint what flows into a frame.

        :param into: the frame without it, uint8 [H, W, 3], is painted over
        :type into: numpy.ndarray
        :param look_up: gives the photo's colours
        :type look_up: LookUp
        :param sight: what the frame shows
        :type sight: Sight
        """
        import cv2
        import numpy as np
        mask = (sight.alpha > 0).view(np.uint8)
        left, upper, width, height = cv2.boundingRect(mask)
        if not width:
            return
        part = (slice(upper, upper + height), slice(left, left + width))

        def spread(values: 'numpy.ndarray') -> 'numpy.ndarray':
            # the field is too smooth for more than a look-up a cell
            shown = values if sight.cells is None else sample(values, sight.cells)
            return cv2.resize(shown, mask.shape[::-1])[part]

        def find_copy(number: int) -> 'numpy.ndarray':
            across, down = self.ways[2 * number:2 * number + 2]
            return look_up((cv2.add(sight.place[0][part], spread(across + sight.rim)),
                            cv2.add(sight.place[1][part], spread(down + sight.rim))))

        mixed = _blend(find_copy(0), find_copy(1), spread(self.weight))
        mixed = _blend(spread(self.plain), mixed, spread(self.gain))
        mixed = cv2.cvtColor(mixed, cv2.COLOR_RGBA2RGB)
        still = into[part]
        mixed = _blend(still, mixed, sight.alpha[part])
        cv2.copyTo(mixed, mask[part], still)


def place_on_grid(place: Place, rim: int, grid: tuple[int, ...]) -> Place:
    """
    Find what of the grid a frame shows.

    :param place: what of the photo it shows, in half pixels, float32 [H, W] each
    :type place: Place
    :param rim: where the photo begins in them
    :type rim: int
    :param grid: rows and columns of the grid
    :type grid: tuple[int, ...]
    :return: columns and rows, a cell each
    :rtype: Place
    """
    import cv2
    import numpy as np
    found = []
    for values, cells, side in zip(place, grid[::-1], place[0].shape[::-1], strict = True):
        at = (cv2.resize(values, grid[::-1]) - np.float32(rim)) / 2
        found.append((at + np.float32(0.5)) * np.float32(cells / side) - np.float32(0.5))
    return found[0], found[1]


def _blend(first: 'numpy.ndarray', second: 'numpy.ndarray',
           weight: 'numpy.ndarray') -> 'numpy.ndarray':
    """Blend two pictures; a weight above 1 goes on beyond the second."""
    import cv2
    return cv2.blendLinear(first, second, 1 - weight, weight)


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
