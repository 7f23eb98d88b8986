#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Turns frames into pictures of palette entries that look calm and compress well.

No dither is added: with a palette made for the clip, the photo's own grain hides the steps between colours, and any
pattern costs more likeness and bytes than it saves. Pixels for which the colour on show does about as well as the
nearest one are left as they are, which keeps still things still and costs nothing.

Libraries: numpy, OpenCV.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from modules.encoders.gif.palette import UNKNOWN, Mapper

#: entry that lets the picture before shine through; no colour is called so
TRANSPARENT = UNKNOWN
#: fewer pixels in a row are not worth leaving transparent
LEAST_RUN = 3


@dataclass(frozen = True)
class Mapped:
    """A frame in terms of a palette."""

    #: uint8 [H, W, 3]: the frame itself
    frame: np.ndarray
    #: uint8 [H, W]: the nearest entries
    entries: np.ndarray
    #: uint8 [H, W, 3]: their colours
    colours: np.ndarray
    #: what the entries belong to
    mapper: Mapper


@dataclass(frozen = True)
class Shown:
    """What is on show."""

    #: uint8 [H, W]
    entries: np.ndarray
    #: uint8 [H, W, 3]: the colours of the entries
    colours: np.ndarray


@dataclass(frozen = True)
class Patch:
    """The part of a frame that a GIF stores."""

    left: int
    top: int
    #: uint8 [H, W], :data:`TRANSPARENT` where nothing changes
    entries: np.ndarray


def map_frame(frame: np.ndarray, mapper: Mapper) -> Mapped:
    """
    Choose palette entries for a frame.

    :param frame: uint8 [H, W, 3]
    :type frame: np.ndarray
    :param mapper: knows the palette
    :type mapper: Mapper
    :return: the frame in terms of the palette
    :rtype: Mapped
    """
    entries = mapper.entries(frame)
    return Mapped(frame, entries, mapper.colours(entries), mapper)


def make_patch(mapped: Mapped, shown: Shown | None) -> tuple[Patch, Shown]:
    """
    Make the part of a frame that must be stored.

    :param mapped: the frame
    :type mapped: Mapped
    :param shown: what is on show before it, in terms of the same palette; None for nothing
    :type shown: Shown | None
    :return: the changed part, and what is on show after it
    :rtype: tuple[Patch, Shown]
    """
    if shown is None:
        return Patch(0, 0, mapped.entries), Shown(mapped.entries, mapped.colours)
    further = cv2.subtract(
        cv2.absdiff(mapped.frame, shown.colours), cv2.absdiff(mapped.frame, mapped.colours))
    stays = cv2.inRange(further, (0, 0, 0), (mapped.mapper.tolerance, ) * 3)
    entries = cv2.copyTo(shown.entries, stays, mapped.entries)
    colours = cv2.copyTo(shown.colours, stays, mapped.colours)
    changes = cv2.bitwise_not(
        cv2.morphologyEx(stays, cv2.MORPH_OPEN, np.ones((1, LEAST_RUN), np.uint8)))
    left, top, width, height = cv2.boundingRect(changes)
    width, height = max(1, width), max(1, height)
    part = (slice(top, top + height), slice(left, left + width))
    stored = cv2.bitwise_and(entries[part], changes[part])
    return Patch(left, top, stored), Shown(entries, colours)
