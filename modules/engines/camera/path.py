#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Where the camera goes: a closed path, chosen by the seed.

Libraries: none.
"""

import math
import random
from dataclasses import dataclass


@dataclass(frozen = True)
class CameraPath:
    """
    A closed camera path. The camera rests at the photo's own point of view at frame 0 and, in all it does, never
    outgrows ``ease``, which is why a zoom that grows with ``ease`` can keep every border out of sight.
    """

    #: per frame, 0 at frame 0, at most 1
    ease: list[float]
    #: travel to the right and downwards per frame; absolute values are at most those of ``ease``
    x: list[float]
    y: list[float]
    #: how far the camera walks into the scene, in terms of the sideways travel
    push: float


def choose_path(seed: int, frames: int) -> CameraPath:
    """
    Choose a camera path.

    :param seed: chooses shape, direction and start
    :type seed: int
    :param frames: how many frames the clip has; the one after the last would be frame 0
    :type frames: int
    :return: the path
    :rtype: CameraPath
    """
    chance = random.Random(seed)  # noqa: S311
    shape = ('orbit', 'sway', 'push', 'arc')[int(chance.random() * 4)]
    side, lift = (1, -1)[int(chance.random() * 2)], chance.uniform(-1, 1)
    phases = [2 * math.pi * frame / frames for frame in range(frames)]
    ease = [(1 - math.cos(phase)) / 2 for phase in phases]
    x, y, push = {
        'orbit': (lambda p: -math.cos(p + 0.9 * lift), lambda p: 0.8 * math.sin(p), 0.5),
        'sway': (lambda p: math.sin(p), lambda p: 0.3 * lift, 0.5),
        'push': (lambda p: 0.35, lambda p: 0.35 * lift, 3.0),
        'arc': (lambda p: 0.9, lambda p: 0.6 * math.sin(p + lift), 1.5),
    }[shape]
    return CameraPath(ease, [side * e * x(p) for e, p in zip(ease, phases, strict = True)],
                      [e * y(p) for e, p in zip(ease, phases, strict = True)], push)
