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
from modules.engines.camera.flow import Stream
from modules.engines.camera.flow_moment import Moment, Sight, place_on_grid
from modules.engines.camera.pair import Pair, pair_up
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
    #: nearness, float32
    near: Pair
    #: twice as dense, uint8 [.., .., 3]; where something flows [.., .., 4], the last of which is how much
    colour: Pair
    #: the smallest step of nearness that is an edge
    step: float
    #: nearness of both layers at the left, right, upper and lower border
    rims: list['numpy.ndarray']
    #: :attr:`colour` with as much around it as flows in; None where nothing flows
    live: Pair | None = None

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
        exact = self.near.take(source_of(view, near, 1, 1), closed)
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
        self._colour(view, near, code, into, moment)
        # pixels are near or far as a whole, edges are not
        edges = cv2.morphologyEx(near, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > EDGE
        soft = cv2.GaussianBlur(into, (3, 3), 0.8)
        if softness < 1:
            soft = cv2.addWeighted(soft, softness, into, 1 - softness, 0)
        cv2.copyTo(soft, edges.view(np.uint8), into)

    def _colour(self, view: View, near: 'numpy.ndarray', code: 'numpy.ndarray',
                into: 'numpy.ndarray', moment: Moment | None) -> None:
        """Take colours of both layers from where pixels of a nearness come from."""
        import cv2
        import numpy as np
        place = source_of(view, near, 2, 1)
        if self.live is None:
            self.colour.take(place, code, into)
            return
        seen = self.colour.take(place, code)
        cv2.cvtColor(seen, cv2.COLOR_RGBA2RGB, dst = into)
        if moment:
            alpha = cv2.extractChannel(seen, 3) * np.float32(1 / 255)
            cells = place_on_grid(place, 1, moment.weight.shape)
            sight = Sight(alpha, self.live.find(place, code), cells, self.live.rim - 1)
            moment.paint(into, self.live.take, sight)


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


def make_layers(still: 'numpy.ndarray',
                fine: 'numpy.ndarray',
                near: 'numpy.ndarray',
                travel: float,
                stream: Stream | None = None) -> Layers:
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
    :param stream: what flows; None where nothing does
    :type stream: Stream | None
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
    step = smallest_step(travel)
    photo, filled = sharpen(fine), sharpen(below)
    if stream:
        photo, filled = stream.mark(photo), stream.mark(filled)
    rest = _sort(near, behind, mixed | (hiding & (near - behind > step / 2)))
    keeps = ~mixed[rest.y.astype(np.intp), rest.x.astype(np.intp)].ravel() | (rest.code & 1 == 0)
    moved = Points(rest.x[:, keeps], rest.y[:, keeps], rest.near[:, keeps], rest.code[keeps])
    return Layers(rest, moved, pair_up(near, behind), pair_up(photo, filled), step,
                  [np.concatenate([near[rim], behind[rim]]) for rim in RIMS],
                  pair_up(photo, filled, stream.reach) if stream else None)


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
