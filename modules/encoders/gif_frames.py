#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Turns frames into pictures of palette entries that look calm and compress well.

No dither is added: with a palette made for the clip, the photo's own grain hides the steps between colours, and any
pattern costs more likeness and bytes than it saves. Where several entries stand for a pixel about equally well, the
one that is on show already, or stands to the left, is taken, which makes long runs.

Libraries: numpy, OpenCV.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from modules.encoders.palette import Mapper

#: entry that lets the picture before shine through
TRANSPARENT = 255
#: difference between the lightest and the darkest of 5 × 5 pixels up to which streaks would be seen
SMOOTH = 6
#: fewer pixels in a row are not worth leaving transparent
LEAST_RUN = 5


@dataclass(frozen = True)
class Mapped:
    """A frame in terms of a palette."""

    #: uint8 [H, W]: the entries chosen
    entries: np.ndarray
    #: uint8 [H, W, N]: the entries that would do as well
    alternatives: np.ndarray
    #: what the entries belong to
    mapper: Mapper


@dataclass(frozen = True)
class Patch:
    """The part of a frame that a GIF stores."""

    left: int
    top: int
    #: uint8 [H, W], :data:`TRANSPARENT` where nothing changes
    entries: np.ndarray


def map_frames(frames: np.ndarray, mapper: Mapper) -> list[Mapped]:
    """
    Choose palette entries for some frames.

    :param frames: uint8 [T, H, W, 3]
    :type frames: np.ndarray
    :param mapper: knows the palette
    :type mapper: Mapper
    :return: one for each frame
    :rtype: list[Mapped]
    """
    alternatives = [mapper.alternatives(frame) for frame in frames]
    planes = [[cv2.transpose(plane) for plane in cv2.split(of_frame)] for of_frame in alternatives]
    for frame, (nearest, *others) in zip(frames, planes, strict = True):
        smooth = cv2.transpose(_smooth(frame))
        for other in others:
            cv2.copyTo(nearest, smooth, other)
    height = frames.shape[1]
    joined = _join_runs([np.concatenate(plane, 1) for plane in zip(*planes, strict = True)])
    parts = [joined[:, start:start + height] for start in range(0, joined.shape[1], height)]
    return [
        Mapped(np.ascontiguousarray(part.T), of_frame, mapper)
        for part, of_frame in zip(parts, alternatives, strict = True)
    ]


def _smooth(frame: np.ndarray) -> np.ndarray:
    """Where the picture is even: 255, elsewhere 0."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    square = np.ones((5, 5), np.uint8)
    return cv2.compare(
        cv2.subtract(cv2.dilate(grey, square), cv2.erode(grey, square)), SMOOTH, cv2.CMP_LE)


def _join_runs(planes: list[np.ndarray]) -> np.ndarray:
    """From left to right, which is the first axis, go on with an entry wherever it is among the alternatives."""
    joined, *others = planes
    before = joined[0]
    for column in range(1, len(joined)):
        fits = others[0][column] == before
        for other in others[1:]:
            fits |= other[column] == before
        np.copyto(joined[column], before, where = fits)
        before = joined[column]
    return joined


def patch(mapped: Mapped, shown: np.ndarray | None) -> tuple[Patch, np.ndarray]:
    """
    What must be stored for a frame.

    :param mapped: the frame
    :type mapped: Mapped
    :param shown: uint8 [H, W], what is on show before it, or None for nothing of the same palette
    :type shown: np.ndarray | None
    :return: the changed part, and what is on show after it
    :rtype: tuple[Patch, np.ndarray]
    """
    entries = mapped.entries
    if shown is None:
        return Patch(0, 0, entries), entries
    stays = cv2.compare(shown, entries, cv2.CMP_EQ)
    for plane in cv2.split(mapped.alternatives):
        stays |= cv2.compare(shown, plane, cv2.CMP_EQ)
    entries = cv2.copyTo(shown, stays, entries.copy())
    stays = cv2.morphologyEx(stays, cv2.MORPH_OPEN, np.ones((1, LEAST_RUN), np.uint8))
    left, top, width, height = cv2.boundingRect(cv2.bitwise_not(stays))
    width, height = max(1, width), max(1, height)
    stored = np.where(stays > 0, np.uint8(TRANSPARENT), entries)
    return Patch(left, top, stored[top:top + height, left:left + width]), entries
