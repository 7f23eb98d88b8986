#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The photo as one elastic sheet, for depth that is only guessed: it is nowhere torn, and so gently bent that a wrong
guess is hardly noticed; and as a flat one, for a camera that stands still.

Libraries: numpy, OpenCV, both imported when first used.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modules.engines.camera import depth_guess
from modules.engines.camera.dense import look_up_in
from modules.engines.camera.flow_moment import Moment, Sight, place_on_grid, sample
from modules.engines.camera.layers import RIMS, source_of
from modules.engines.camera.view import View

if TYPE_CHECKING:
    import numpy

#: how much neighbouring pixels may be pulled apart or pushed together by a depth edge, as a part of their distance
MOST_STRETCH = 0.22


@dataclass(frozen = True)
class Sheet:
    """A photo on an elastic sheet."""

    #: uint8 [2H - 1, 2W - 1, 3], the photo sampled twice as densely as a frame
    fine: 'numpy.ndarray'
    #: float32 [H, W], nearness
    near: 'numpy.ndarray'
    #: uint8 [2H - 1, 2W - 1, 4], the same sharpened, for what flows; None where nothing does
    colour: 'numpy.ndarray | None' = None
    #: float32 [H, W], 0–1, how much of a pixel flows; None where nothing does
    alpha: 'numpy.ndarray | None' = None

    @property
    def rims(self) -> list['numpy.ndarray']:
        """
        Collect what lies at the borders.

        :return: nearness at the left, right, upper and lower border
        :rtype: list[numpy.ndarray]
        """
        return [self.near[rim] for rim in RIMS]

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
        maps = source_of(view, self.near, 2, 0)
        # no view looks beyond the border; the cubic's neighbourhood does, by a pixel
        cv2.remap(self.fine, *maps, cv2.INTER_CUBIC, dst = into, borderMode = cv2.BORDER_REFLECT)
        if moment and self.colour is not None and self.alpha is not None:
            alpha = sample(self.alpha, (maps[0] / 2, maps[1] / 2))
            cells = place_on_grid(maps, 0, moment.weight.shape)
            moment.paint(into, look_up_in(self.colour), Sight(alpha, maps, cells))


@dataclass(frozen = True)
class Flat:
    """A photo seen from where it was taken, in which something flows."""

    #: uint8 [H, W, 3]
    still: 'numpy.ndarray'
    #: uint8 [2H - 1, 2W - 1, 4], the same sampled twice as densely and sharpened
    colour: 'numpy.ndarray'
    #: all of it
    sight: Sight

    def draw(self, _view: View, into: 'numpy.ndarray', moment: Moment | None = None) -> None:
        """
        Draw it.

        :param _view: of no account
        :type _view: View
        :param into: uint8 [H, W, 3], is overwritten
        :type into: numpy.ndarray
        :param moment: how far what flows has flowed; None where the photo is as it was taken
        :type moment: Moment | None
        """
        into[:] = self.still
        if moment:
            moment.paint(into, look_up_in(self.colour), self.sight)


def guess_depth(picture: 'numpy.ndarray', travel: float) -> 'numpy.ndarray':
    """
    Guess how near everything is, so that nothing is torn when it moves.

    :param picture: uint8 [H, W, 3], sRGB
    :type picture: numpy.ndarray
    :param travel: how far the nearest will move against the farthest, in pixels
    :type travel: float
    :return: nearness, float32 [H, W]
    :rtype: numpy.ndarray
    """
    import cv2
    height, width = picture.shape[:2]
    near = depth_guess.nearness(picture)
    slope = MOST_STRETCH * max(height, width) / max(near.shape) / travel
    near = depth_guess.limit_slope(depth_guess.straightened(near, picture, slope), slope)
    return cv2.resize(near, (width, height), interpolation = cv2.INTER_CUBIC)
