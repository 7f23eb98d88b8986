#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The photo as two layers, what is seen and what lies behind it, drawn from any view: every pixel is moved to where the
camera sees it, far ones first; so the view's depth is known, and its colours are taken from the photo at exactly
that place.

Libraries: numpy, OpenCV, both imported when first used.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modules.engines.camera.dense import sharpen
from modules.engines.camera.edges import EDGE, find_mixed
from modules.engines.camera.fill import fill_behind, find_hiding, smallest_step
from modules.engines.camera.flow_moment import LookUp, Moment, Place, fold
from modules.engines.camera.view import View

if TYPE_CHECKING:
    import numpy

#: nearness 0–1 in whole numbers; the lowest bit says that a pixel is the photo's own, 0 that nothing is there
STEPS = 65535
#: travel, in pixels, until which nothing has come into view, and from which what mixes with it is left out
REST, MOVED = 1.0, 3.0
#: where the left, right, upper and lower border lie in an array
RIMS = ((slice(None), 0), (slice(None), -1), (0, ), (-1, ))


@dataclass(frozen = True)
class Points:
    """Pixels of both layers, the farthest first; all [1, N]."""

    #: float32, place in the photo and nearness
    x: 'numpy.ndarray'
    y: 'numpy.ndarray'
    near: 'numpy.ndarray'
    #: uint16, nearness and layer
    code: 'numpy.ndarray'


@dataclass(frozen = True)
class Layers:
    """A photo in two layers."""

    #: all, and without the pixels that mix near and far, which would stay behind as an outline
    rest: Points
    moved: Points
    #: both layers, the photo first; nearness, float32, and colour twice as dense, uint8 [.., .., 3]; each with a rim
    near: 'numpy.ndarray'
    colour: 'numpy.ndarray'
    #: where the second layer begins, in columns and rows of the first
    offset: tuple[int, int]
    #: the smallest step of nearness that is an edge
    step: float
    #: nearness of both layers at the left, right, upper and lower border
    rims: list['numpy.ndarray']
    #: uint8 [.., .., 4], :attr:`colour` for what flows; None where nothing does
    live: 'numpy.ndarray | None' = None

    def draw(self, view: View, into: 'numpy.ndarray', moment: Moment | None = None) -> None:
        """
        Draw a view.

        :param view: what is shown
        :type view: View
        :param into: uint8 [H, W, 3], is overwritten
        :type into: numpy.ndarray
        :param moment: how far what flows has flowed; None where the photo is as it was taken
        :type moment: Moment | None
        """
        import cv2
        height, width = into.shape[:2]
        travel = max(map(abs, view.gain)) + abs(view.walk) * max(height, width) / 2
        share = min(1.0, max(0.0, (travel - REST) / (MOVED - REST)))
        self._draw(self.moved if share else self.rest, view, min(1.0, travel / MOVED), into, moment)
        if 0 < share < 1:
            other = into.copy()
            self._draw(self.rest, view, travel / MOVED, other, moment)
            cv2.addWeighted(into, share, other, 1 - share, 0, dst = into)

    def find_depth(self, points: Points, view: View,
                   shape: tuple[int, ...]) -> tuple['numpy.ndarray', 'numpy.ndarray']:
        """
        Find how near a view's pixels are, and in which layer.

        :param points: what is seen
        :type points: Points
        :param view: from where
        :type view: View
        :param shape: height and width of a frame
        :type shape: tuple[int, ...]
        :return: nearness, float32 [H, W], and :attr:`Points.code`, uint16 [H, W]
        :rtype: tuple[numpy.ndarray, numpy.ndarray]
        """
        import cv2
        import numpy as np
        code = _move(points, view, shape)
        # what a growing thing leaves between its pixels
        closed = cv2.morphologyEx(code, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        near = closed.astype(np.float32)
        near *= 1 / STEPS
        exact = self._sample(self.near, near, closed, view)
        agrees = (cv2.absdiff(exact, near) < self.step).view(np.uint8)
        cv2.copyTo(closed, agrees, code)
        if cv2.countNonZero(code) < code.size:
            code = _spread_far(code)
        near = code.astype(np.float32)
        near *= 1 / STEPS
        cv2.copyTo(exact, agrees, near)
        return near, code

    def _draw(self, points: Points, view: View, softness: float, into: 'numpy.ndarray',
              moment: Moment | None) -> None:
        import cv2
        import numpy as np
        near, code = self.find_depth(points, view, into.shape)
        self._sample(self.colour, near, code, view, into)
        if moment and self.live is not None:
            moment.paint(into, self._look_up_in(self.live, code), source_of(view, near, 1, 0))
        # pixels are near or far as a whole, edges are not
        edges = cv2.morphologyEx(near, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > EDGE
        soft = cv2.GaussianBlur(into, (3, 3), 0.8)
        if softness < 1:
            soft = cv2.addWeighted(soft, softness, into, 1 - softness, 0)
        cv2.copyTo(soft, edges.view(np.uint8), into)

    def _sample(self,
                source: 'numpy.ndarray',
                near: 'numpy.ndarray',
                code: 'numpy.ndarray',
                view: View,
                into: 'numpy.ndarray | None' = None) -> 'numpy.ndarray':
        """Take values of both layers from where pixels of a nearness come from."""
        import cv2
        scale = 1 if source.ndim == 2 else 2
        maps = source_of(view, near, scale, 1)
        self._add_offset(maps, code, scale)
        return cv2.remap(
            source, *maps, cv2.INTER_LINEAR, dst = into, borderMode = cv2.BORDER_REPLICATE)

    def _look_up_in(self, live: 'numpy.ndarray', code: 'numpy.ndarray') -> LookUp:
        import cv2
        height, width = code.shape

        def look_up(place: Place, part: tuple[slice, slice]) -> 'numpy.ndarray':
            # what flows in from beyond a border is mirrored
            maps = fold(place[0], 2 * width) + 1, fold(place[1], 2 * height) + 1
            self._add_offset(maps, code[part], 2)
            return cv2.remap(live, *maps, cv2.INTER_LINEAR, borderMode = cv2.BORDER_REPLICATE)

        return look_up

    def _add_offset(self, maps: Place, code: 'numpy.ndarray', scale: int) -> None:
        """Turn places in the photo into places in the layers; what lies behind is in the second."""
        import cv2
        axis = int(self.offset[1] > 0)
        behind = ((code & 1) ^ 1).astype('float32')
        cv2.scaleAdd(behind, float(scale * self.offset[axis]), maps[axis], dst = maps[axis])


def source_of(view: View, near: 'numpy.ndarray', scale: int,
              rim: int) -> tuple['numpy.ndarray', 'numpy.ndarray']:
    """
    Compute where a view's pixels come from.

    :param view: what is shown
    :type view: View
    :param near: float32 [H, W], the pixels' nearness
    :type near: numpy.ndarray
    :param scale: how many times as dense as a frame the source is
    :type scale: int
    :param rim: where in the source the photo begins, in its columns and rows
    :type rim: int
    :return: columns and rows in the source, float32 [H, W] each
    :rtype: tuple[numpy.ndarray, numpy.ndarray]
    """
    import numpy as np
    found = []
    for axis, side in enumerate(near.shape[::-1]):
        from_centre = np.arange(side, dtype = np.float64) - view.centre[axis]
        place = view.centre[axis] + view.shift[axis] + from_centre * (1 - view.zoom)
        by_nearness = view.gain[axis] - view.walk * from_centre
        line = (1, side) if axis == 0 else (side, 1)
        values = near * (scale * by_nearness).astype(np.float32).reshape(line)
        values += (scale * place + rim).astype(np.float32).reshape(line)
        found.append(values)
    return found[0], found[1]


def make_layers(still: 'numpy.ndarray', fine: 'numpy.ndarray', near: 'numpy.ndarray',
                travel: float) -> Layers:
    """
    Make the layers of a photo.

    :param still: uint8 [H, W, 3]
    :type still: numpy.ndarray
    :param fine: uint8 [2H - 1, 2W - 1, 3], the same twice as dense
    :type fine: numpy.ndarray
    :param near: float32 [H, W], 0–1
    :type near: numpy.ndarray
    :param travel: how far the nearest will move against the farthest, in pixels
    :type travel: float
    :return: the layers
    :rtype: Layers
    """
    import cv2
    import numpy as np
    height, width = near.shape
    mixed = find_mixed(near, still)
    hiding = find_hiding(near, travel) | mixed
    fill, behind = fill_behind(still, near, hiding, travel)
    twice = cv2.warpAffine(
        fill,
        np.array(((0.5, 0, 0), (0, 0.5, 0))),
        fine.shape[1::-1],
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    mask = cv2.resize(
        hiding.astype(np.uint8), (2 * width, 2 * height), interpolation = cv2.INTER_NEAREST)
    below = fine.copy()
    cv2.copyTo(twice, mask[:-1, :-1], below)
    axis = 0 if height <= width else 1
    step = smallest_step(travel)
    colour = np.concatenate([_with_rim(sharpen(each)) for each in (fine, below)], axis)
    rest = _sort(near, behind, mixed | (hiding & (near - behind > step / 2)))
    keeps = ~mixed[rest.y.astype(np.intp), rest.x.astype(np.intp)].ravel() | (rest.code & 1 == 0)
    moved = Points(rest.x[:, keeps], rest.y[:, keeps], rest.near[:, keeps], rest.code[keeps])
    return Layers(rest, moved, np.concatenate([_with_rim(near), _with_rim(behind)],
                                              axis), colour, (0, height + 2) if axis == 0 else
                  (width + 2, 0), step, [np.concatenate([near[rim], behind[rim]]) for rim in RIMS])


def _with_rim(values: 'numpy.ndarray') -> 'numpy.ndarray':
    import cv2
    # colour is twice as dense and has an odd size: so both layers lie at whole multiples
    after = 1 if values.ndim == 2 else 4
    return cv2.copyMakeBorder(values, 1, after, 1, after, cv2.BORDER_REPLICATE)


def _sort(near: 'numpy.ndarray', behind: 'numpy.ndarray', hidden: 'numpy.ndarray') -> Points:
    """Put the pixels of both layers into the order in which they cover each other."""
    import numpy as np
    places = np.indices(near.shape, np.float32)
    y, x, values = (np.append(each.ravel(), other[hidden])
                    for each, other in zip((*places, near), (*places, behind), strict = True))
    code = (values * 32767).round().clip(1, 32766).astype(np.uint16) << 1
    code[:near.size] |= 1
    order = np.argsort(code, kind = 'stable')
    return Points(x[order][None], y[order][None], values[order][None], code[order])


def _move(points: Points, view: View, shape: tuple[int, ...]) -> 'numpy.ndarray':
    """Move every pixel to where the view has it; uint16 [H, W], 0 where none lands."""
    import cv2
    import numpy as np
    height, width = shape[:2]
    grown = None
    if view.walk:
        grown = cv2.divide(1.0, np.float32(1 - view.zoom) - points.near * np.float32(view.walk))
    places, margins = [], []
    for axis, (values, side) in enumerate(((points.x, width), (points.y, height))):
        centre, gain, shift = view.centre[axis], view.gain[axis], view.shift[axis]
        place: numpy.ndarray = cv2.scaleAdd(points.near, -gain, values)
        place -= centre + shift
        place *= 1 / (1 - view.zoom) if grown is None else grown
        most = side * (1 / (1 - view.zoom - max(0.0, view.walk)) - 1)
        margins.append(int(abs(gain) + abs(shift) + abs(most)) + 3)
        place += centre + margins[-1]
        places.append(np.rint(place, out = place))
    stride = width + 2 * margins[0]
    at = cv2.scaleAdd(places[1], float(stride), places[0]).ravel().astype(np.intp)
    canvas = np.zeros((height + 2 * margins[1], stride), np.uint16)
    # of several pixels that land in one place the last stays, which is the nearest
    canvas.ravel()[at] = points.code
    return np.ascontiguousarray(canvas[margins[1]:margins[1] + height,
                                       margins[0]:margins[0] + width])


def _spread_far(code: 'numpy.ndarray') -> 'numpy.ndarray':
    """Give places where nothing landed the farthest of what lies around them."""
    import cv2
    import numpy as np
    square = np.ones((3, 3), np.uint8)
    empty = (code == 0).astype(np.uint8)
    filled = np.where(empty > 0, STEPS, code).astype(np.uint16)
    for _ in range(max(code.shape)):
        cv2.copyTo(cv2.erode(filled, square), empty, filled)
        empty = (filled == STEPS).astype(np.uint8) & empty
        if not cv2.countNonZero(empty):
            break
    return filled
