#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From a camera path to views: where each frame takes its pixels from, as a function of their nearness, such that what is
in focus stays in place and no border shows.

Libraries: numpy, imported when a clip is made.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from modules.engines.camera.path import CameraPath, Shot

if TYPE_CHECKING:
    import numpy

#: the most a zoom may cut off, as a part of the picture; a path that would need more is made shorter
MOST_ZOOM = 0.15
#: how near to a border the point about which a view zooms may lie, as a part of the side
RIM = 0.1


@dataclass(frozen = True)
class View:
    """
    What one frame shows: the pixel at ``c`` of nearness ``n`` comes from ``c - (c - centre) (zoom + walk n) + gain n +
    shift`` of the photo, in pixels.
    """

    centre: tuple[float, float]
    zoom: float = 0.0
    walk: float = 0.0
    gain: tuple[float, float] = (0.0, 0.0)
    shift: tuple[float, float] = (0.0, 0.0)


def travel_in_pixels(shot: Shot, size: tuple[int, int]) -> float:
    """
    Compute how far the nearest may move against the farthest, at most.

    :param shot: where the camera goes
    :type shot: Shot
    :param size: width and height of the frames
    :type size: tuple[int, int]
    :return: pixels
    :rtype: float
    """
    return shot.travel * (_reach(size)[0] + abs(shot.path.push) * max(size) / 2)


def nearness_in_focus(shot: Shot, near: 'numpy.ndarray') -> float:
    """
    Compute how near is what is in focus: around the point that was asked for, else the subject, which is the
    nearer part of the middle.

    :param shot: what is filmed
    :type shot: Shot
    :param near: float32 [H, W], 0–1
    :type near: numpy.ndarray
    :return: nearness, 0–1
    :rtype: float
    """
    import numpy as np
    height, width = near.shape
    if not shot.focus:
        middle = near[height // 4:height - height // 4, width // 4:width - width // 4]
        return float(np.percentile(middle, 75))
    column, row = (round(part * (side - 1))
                   for part, side in zip(shot.focus, (width, height), strict = True))
    return float(near[row, column])


def hold_size(shot: Shot, near: 'numpy.ndarray') -> tuple[Shot, 'numpy.ndarray']:
    """
    Prepare what keeps the size of what is in focus while the camera walks: whatever would come into view beyond the
    borders is taken to be as near as what is in focus.

    :param shot: what is filmed
    :type shot: Shot
    :param near: float32 [H, W], 0–1
    :type near: numpy.ndarray
    :return: the shot, its camera walking towards what is far or away from what is near, and nearness; both as they are
        where the path does not keep sizes
    :rtype: tuple[Shot, numpy.ndarray]
    """
    import numpy as np
    if not shot.path.keeps_size:
        return shot, near
    focus = nearness_in_focus(shot, near)
    if focus < 0.4:
        return shot, np.maximum(near, np.float32(focus))
    away = replace(shot.path, push = -shot.path.push)
    return replace(shot, path = away), np.minimum(near, np.float32(focus))


def plan_views(shot: Shot, near: 'numpy.ndarray', rims: list['numpy.ndarray']) -> list[View]:
    """
    Plan what each frame shows.

    :param shot: what is filmed
    :type shot: Shot
    :param near: float32 [H, W], 0–1
    :type near: numpy.ndarray
    :param rims: the nearness of everything that lies at a border: left, right, upper, lower
    :type rims: list[numpy.ndarray]
    :return: one view a frame
    :rtype: list[View]
    """
    path, size = shot.path, (near.shape[1], near.shape[0])
    focus = nearness_in_focus(shot, near)
    pivot = path.pivot if shot.focus is None else focus
    at = [min(1 - RIM, max(RIM, part)) for part in shot.focus or (0.5, 0.5)]
    centre = (at[0] * (size[0] - 1), at[1] * (size[1] - 1))
    zoom = _covering_zoom(path, pivot, centre, rims, size)
    if path.keeps_size:
        zoom = max(zoom, -path.push * focus)
    most = shot.travel * (zoom + max(0.0, path.push))
    travel = shot.travel * min(1.0, MOST_ZOOM / max(MOST_ZOOM, shot.travel * zoom, most / 2))
    across, along = (travel * reach for reach in _reach(size))
    return [
        View(centre, travel * ease * zoom, travel * ease * path.push, (across * x, along * y),
             (-pivot * across * x, -pivot * along * y))
        for ease, x, y in zip(path.ease, path.x, path.y, strict = True)
    ]


def _reach(size: tuple[int, int]) -> tuple[float, float]:
    """What a travel of 1 is in pixels: across, and along the height."""
    width, height = size
    return min(width, 2 * height), 0.6 * min(height, 2 * width)


def _covering_zoom(path: CameraPath, pivot: float, centre: tuple[float, float],
                   rims: list['numpy.ndarray'], size: tuple[int, int]) -> float:
    """As little zoom, in terms of travel and ease, as keeps every border out of sight."""
    left, right, upper, lower = rims
    most = 0.0
    for axis, (first, last), steps in ((0, (left, right), path.x), (1, (upper, lower), path.y)):
        reach = _reach(size)[axis]
        ratios = [step / ease for step, ease in zip(steps, path.ease, strict = True) if ease > 1e-9]
        for rim, side, space in ((first, -1, centre[axis]), (last, 1,
                                                             size[axis] - 1 - centre[axis])):
            for ratio in (min(ratios, default = 0.0), max(ratios, default = 0.0)):
                need = side * reach * ratio * (rim - pivot) / max(space, 1e-6) - path.push * rim
                most = max(most, float(need.max()))
    return most
