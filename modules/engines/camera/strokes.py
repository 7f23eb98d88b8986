#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a person drew on the photo: where it flows, and what stays.

Libraries: none but the standard one.
"""

from dataclasses import dataclass


@dataclass(frozen = True)
class Stroke:
    """A line along which something flows, or over what stays."""

    #: from the upper left, in parts of the photo's width and height, 0–1 each
    points: tuple[tuple[float, float], ...]
    #: in parts of the photo's longer side
    width: float
    #: 1 moves by a tenth of the longer side in three seconds; of no account where it marks what stays
    speed: float = 1.0


@dataclass(frozen = True)
class Flow:
    """What was drawn on a photo."""

    strokes: tuple[Stroke, ...]
    #: what stays
    pins: tuple[Stroke, ...] = ()
