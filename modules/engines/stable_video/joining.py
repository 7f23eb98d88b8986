#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A clip longer than the model makes in one go: each part begins with the last frame of the one before, and takes over its
brightness and colours, from which the model drifts.

Libraries: numpy.
"""

import math
from collections.abc import Callable

import numpy

#: how far the contrast of a part may be changed
LEAST_GAIN, MOST_GAIN = 0.8, 1.25


def count_parts(frames: int, of_part: int) -> int:
    """
    Count the parts that a clip is made in.

    :param frames: of the clip
    :type frames: int
    :param of_part: frames that the model makes in one go; of every part but the first, its first frame is not shown
    :type of_part: int
    :return: 1 or more; 1 where a part is a single frame, from which nothing goes on
    :rtype: int
    """
    return max(1, math.ceil((frames - 1) / (of_part - 1))) if of_part > 1 else 1


class Joint:
    """
    Takes a part's frames as they are decoded.

    :param before: the last frame of the part before, uint8 [H, W, 3]; None for the first part
    :type before: numpy.ndarray | None
    :param finish: what becomes of frames, uint8 [T, H, W, 3], then
    :type finish: Callable[[numpy.ndarray], numpy.ndarray]
    """

    #: the frame that was taken last
    last: numpy.ndarray

    def __init__(self, before: numpy.ndarray | None, finish: Callable[[numpy.ndarray],
                                                                      numpy.ndarray]):
        self._before = before
        self._finish = finish
        self._change: tuple[numpy.ndarray, numpy.ndarray] | None = None

    def take(self, frames: numpy.ndarray) -> numpy.ndarray:
        """
        Take the next frames.

        :param frames: uint8 [T, H, W, 3]
        :type frames: numpy.ndarray
        :return: what becomes of them
        :rtype: numpy.ndarray
        """
        if self._before is not None:
            self._change = self._change or compare_colours(frames[0], self._before)
            gain, offset = self._change
            frames = numpy.rint(numpy.clip(frames * gain + offset, 0, 255)).astype(numpy.uint8)
        self.last = frames[-1]
        return self._finish(frames)


def compare_colours(frame: numpy.ndarray,
                    wanted: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """
    Find what gives a frame the brightness, colours and contrast of another.

    :param frame: uint8 [H, W, 3]
    :type frame: numpy.ndarray
    :param wanted: uint8 [H, W, 3]
    :type wanted: numpy.ndarray
    :return: gain and offset of each channel, float32 [3] both
    :rtype: tuple[numpy.ndarray, numpy.ndarray]
    """
    spread = numpy.maximum(frame.std((0, 1)), 1)
    gain = numpy.clip(numpy.maximum(wanted.std((0, 1)), 1) / spread, LEAST_GAIN, MOST_GAIN)
    offset = wanted.mean((0, 1)) - gain * frame.mean((0, 1))
    return gain.astype(numpy.float32), offset.astype(numpy.float32)
