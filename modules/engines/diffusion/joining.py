#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Where two parts of a clip meet: each part begins with the last frame of the one before, and takes over its brightness
and colours, which the model does not quite keep. What they still come to from part to part is measured.

Libraries: numpy.
"""

from collections.abc import Callable

import numpy

from modules.i18n import Text, text

#: how far the contrast of a part may be changed
LEAST_GAIN, MOST_GAIN = 0.8, 1.25

#: percent of the range from black to white; a smaller change is not worth a note
NOTICEABLE = 2.0

#: for that, every fourth pixel of both sides is enough
SPARSE = 4


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
        #: value → value for each channel, uint8 [256, 3]
        self._table: numpy.ndarray | None = None

    def take(self, frames: numpy.ndarray) -> numpy.ndarray:
        """
        Take the next frames.

        :param frames: uint8 [T, H, W, 3]
        :type frames: numpy.ndarray
        :return: what becomes of them
        :rtype: numpy.ndarray
        """
        if self._before is not None:
            if self._table is None:
                gain, offset = compare_colours(frames[0], self._before)
                values = numpy.arange(256)[:, None] * gain + offset
                self._table = numpy.rint(values.clip(0, 255)).astype(numpy.uint8)
            # one by one: numpy looks up by numbers of eight bytes each
            frames = numpy.stack([self._table[frame, (0, 1, 2)] for frame in frames])
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


def explain_drift(first: numpy.ndarray, last: numpy.ndarray) -> Text | None:
    """
    Say how far brightness and colours have come from the first part of a clip to its last.

    :param first: frames, uint8 [T, H, W, 3]
    :type first: numpy.ndarray
    :param last: frames, uint8 [T, H, W, 3]
    :type last: numpy.ndarray
    :return: what was measured; None where it is too little to be seen
    :rtype: Text | None
    """
    before, after = (
        frames[:, ::SPARSE, ::SPARSE].mean((0, 1, 2)) / 2.55 for frames in (first, last))
    changes = after - before
    brightness = float(changes.mean())
    colours = float(numpy.abs(changes - brightness).max())
    if max(abs(brightness), colours) < NOTICEABLE:
        return None
    return text('engines.drifted', brightness = f'{brightness:+.1f}', colours = f'{colours:.1f}')
