#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Values of two layers beside each other in one array, from which pixels of both are taken at once.

Libraries: numpy, OpenCV, both imported when first used.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modules.engines.camera.flow_moment import Place

if TYPE_CHECKING:
    import numpy

#: rows or columns from which OpenCV takes pixels, at most
LONGEST = 32766


@dataclass(frozen = True)
class Pair:
    """Values of both layers in one array, the photo's first; each is mirrored around its borders."""

    values: 'numpy.ndarray'
    #: how many rows and columns lie before the photo's
    rim: int
    #: where the second layer begins, in columns and rows of the first
    offset: tuple[int, int]

    def find(self, place: Place, code: 'numpy.ndarray') -> Place:
        """
        Find places in both layers.

        :param place: columns and rows in the first of them, float32 [H, W] each
        :type place: Place
        :param code: uint16 [H, W], whose lowest bit says that a pixel is in the first layer
        :type code: numpy.ndarray
        :return: columns and rows
        :rtype: Place
        """
        import cv2
        axis = int(self.offset[1] > 0)
        behind = ((code & 1) ^ 1).astype('float32')
        moved = cv2.scaleAdd(behind, float(self.offset[axis]), place[axis])
        return (place[0], moved) if axis else (moved, place[1])

    def take(self,
             place: Place,
             code: 'numpy.ndarray | None' = None,
             into: 'numpy.ndarray | None' = None) -> 'numpy.ndarray':
        """
        Take values.

        :param place: where, columns and rows, float32 [H, W] each
        :type place: Place
        :param code: for :meth:`find`; None where that has been called
        :type code: numpy.ndarray | None
        :param into: is overwritten; None for a new array
        :type into: numpy.ndarray | None
        :return: the values there, [H, W, ...]
        :rtype: numpy.ndarray
        """
        import cv2
        found = place if code is None else self.find(place, code)
        return cv2.remap(
            self.values, *found, cv2.INTER_LINEAR, dst = into, borderMode = cv2.BORDER_REPLICATE)


def pair_up(first: 'numpy.ndarray', second: 'numpy.ndarray', rim: int = 1) -> Pair:
    """
    Put two layers beside each other.

    :param first: [h, w, ...]
    :type first: numpy.ndarray
    :param second: of the same shape
    :type second: numpy.ndarray
    :param rim: how many rows and columns of each are mirrored around its borders; fewer where OpenCV takes no more
    :type rim: int
    :return: both
    :rtype: Pair
    """
    import cv2
    import numpy as np
    axis = 0 if first.shape[0] <= first.shape[1] else 1
    rim = max(
        1, min(rim, (LONGEST - max(first.shape[:2])) // 2, (LONGEST // 2 - first.shape[axis]) // 2))
    framed = [
        cv2.copyMakeBorder(each, rim, rim, rim, rim, cv2.BORDER_REFLECT) for each in (first, second)
    ]
    side = framed[0].shape[axis]
    return Pair(np.concatenate(framed, axis), rim, (0, side) if axis == 0 else (side, 0))
