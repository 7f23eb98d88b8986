#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Where the camera goes: a closed path, by the name of a move and a seed.

Libraries: none.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from modules.choices import MOVES
from modules.request.drawing import Flow

#: how much longer the way out takes than the way back, where a move has a direction; below 1, or time would run back
LEAN = 0.5
#: what ``auto`` chooses from
VARIED = ('orbit', 'pan-left', 'pan-right', 'sway', 'push-in')


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
    #: nearness that stays in place where no focus is given
    pivot: float = 0.2
    #: whether the lens zooms against the walk, so that what is in focus keeps its size
    keeps_size: bool = False


@dataclass(frozen = True)
class Shot:
    """What is filmed, and how."""

    path: CameraPath
    #: greatest sideways travel, as a part of the width
    travel: float
    #: the point that stays in place and sharp, from the upper left, 0–1 each; None leaves it to the depth
    focus: tuple[float, float] | None = None
    #: how much is out of focus away from ``focus``, 0–1
    blur: float = 0.0
    #: what flows; None where nothing does
    flow: Flow | None = None
    #: length of the clip
    seconds: float = 3.0


def choose_path(move: str, seed: int, frames: int) -> CameraPath:
    """
    Choose a camera path.

    :param move: one of :data:`modules.choices.MOVES`; ``auto`` leaves it to the seed
    :type move: str
    :param seed: chooses the side, the lift and the start where the move leaves them open
    :type seed: int
    :param frames: how many frames the clip has; the one after the last would be frame 0
    :type frames: int
    :return: the path
    :rtype: CameraPath
    :raises ValueError: for another move
    """
    if move not in MOVES:
        raise ValueError(move)
    chance = random.Random(seed)  # noqa: S311
    if move == 'auto':
        move = chance.choice(VARIED)
    side, lift = chance.choice((1, -1)), chance.uniform(-1, 1)
    phases = [2 * math.pi * frame / frames for frame in range(frames)]
    if move == 'still':
        zeros = [0.0] * frames
        return CameraPath(zeros, zeros, zeros, 0)
    return _SHAPES[move](phases, side, lift)


def _ease(phases: list[float], lean: float = 0.0) -> list[float]:
    """Out and back, at rest at both ends; above 0, ``lean`` gives more time to the way out, below 0 to the way back."""
    return [(1 - math.cos(p + lean * (math.cos(p) - 1))) / 2 for p in phases]


def _orbit(phases: list[float], side: int, lift: float) -> CameraPath:
    ease = _ease(phases)
    return CameraPath(
        ease, [-side * e * math.cos(p + 0.9 * lift) for e, p in zip(ease, phases, strict = True)],
        [0.8 * e * math.sin(p) for e, p in zip(ease, phases, strict = True)], 0.5)


def _sway(phases: list[float], side: int, lift: float) -> CameraPath:
    ease = _ease(phases)
    return CameraPath(ease, [side * e * math.sin(p) for e, p in zip(ease, phases, strict = True)],
                      [0.3 * lift * e for e in ease], 0.5)


def _walk(lean: float, push: float, *, keeps_size: bool = False) -> Callable[..., CameraPath]:

    def shape(phases: list[float], side: int, lift: float) -> CameraPath:
        ease = _ease(phases, lean)
        aside = 0.0 if keeps_size else 0.25
        return CameraPath(
            ease, [aside * side * e for e in ease], [aside * lift * e for e in ease],
            push,
            keeps_size = keeps_size)

    return shape


def _pan(x: float, y: float) -> Callable[..., CameraPath]:

    def shape(phases: list[float], _side: int, lift: float) -> CameraPath:
        ease = _ease(phases, LEAN)
        # everything goes the other way, the farthest nothing but least
        return CameraPath(
            ease, [e * (x or 0.15 * lift) for e in ease], [e * (y or 0.15 * lift) for e in ease],
            0.3,
            pivot = 0.0)

    return shape


#: a move → phases, side (1 or -1), lift (-1 to 1) → the path
_SHAPES: dict[str, Callable[..., CameraPath]] = {
    'orbit': _orbit,
    'sway': _sway,
    'push-in': _walk(LEAN, 3.0),
    'pull-out': _walk(-LEAN, 3.0),
    'pan-left': _pan(-0.9, 0),
    'pan-right': _pan(0.9, 0),
    'rise': _pan(0, -0.9),
    'sink': _pan(0, 0.9),
    'dolly-zoom': _walk(0, 3.0, keeps_size = True),
}
