#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From a photo, its depth and a camera path to frames: every frame's pixels are taken from the photo where the camera sees
them.

Libraries: Pillow; numpy and OpenCV, imported when a clip is made.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from modules.engines.camera.blur import blur_away
from modules.engines.camera.dense import make_live, sample_twice, sharpen
from modules.engines.camera.edges import fit_edges
from modules.engines.camera.flow import Stream, make_stream
from modules.engines.camera.flow_moment import Moment, Sight
from modules.engines.camera.layers import Layers, make_layers
from modules.engines.camera.path import Shot
from modules.engines.camera.sheet import Flat, Sheet, guess_depth
from modules.engines.camera.view import (
    View,
    hold_size,
    nearness_in_focus,
    plan_views,
    travel_in_pixels,
)
from modules.progress import StopIfCancelled, do_nothing

if TYPE_CHECKING:
    import numpy

#: sides, in pixels, between which a camera can move: below, nothing would be seen of it; above, OpenCV cannot
SHORTEST, LONGEST = 8, 16000

#: picture, uint8 [H, W, 3] → nearness, float32 [h, w], 0–1; None where the rules of ``depth_guess`` are to estimate it
EstimateDepth = Callable[['numpy.ndarray'], 'numpy.ndarray | None']


class Drawing(Protocol):
    """A photo with depth that can be seen from other views."""

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


@dataclass(frozen = True)
class Renderer:
    """Draws the frames of one clip."""

    #: uint8 [H, W, 3], frame 0
    still: 'numpy.ndarray'
    #: None where nothing moves
    drawing: Drawing | None = None
    #: what each frame shows
    views: list[View] = field(default_factory = list)
    #: None where nothing flows
    stream: Stream | None = None

    def draw(self, frame: int, into: 'numpy.ndarray') -> None:
        """
        Draw a frame.

        :param frame: its index
        :type frame: int
        :param into: uint8 [H, W, 3], is overwritten
        :type into: numpy.ndarray
        """
        if frame == 0 or not self.drawing:
            into[:] = self.still
        else:
            moment = self.stream.at(frame) if self.stream else None
            self.drawing.draw(self.views[frame], into, moment)


def prepare_renderer(image: Image.Image,
                     size: tuple[int, int],
                     shot: Shot,
                     estimate_depth: EstimateDepth,
                     stop_if_cancelled: StopIfCancelled = do_nothing) -> Renderer:
    """
    Do what is the same for every frame of a clip.

    :param image: the upright photo, RGB
    :type image: Image.Image
    :param size: width and height of the frames
    :type size: tuple[int, int]
    :param shot: where the camera goes, what is in focus
    :type shot: Shot
    :param estimate_depth: called with frame 0 where depth matters
    :type estimate_depth: EstimateDepth
    :param stop_if_cancelled: called between the strokes of what flows
    :type stop_if_cancelled: StopIfCancelled
    :return: what draws the frames
    :rtype: Renderer
    """
    import numpy as np
    is_still = not any(shot.path.ease)
    is_picture = is_still and not shot.blur and not shot.flow
    if min(size) < SHORTEST or max(size) > LONGEST or is_picture:
        return Renderer(np.asarray(image.resize(size, Image.Resampling.LANCZOS)))
    fine = sample_twice(image, size)
    still = np.ascontiguousarray(fine[::2, ::2])
    frames = len(shot.path.ease)
    stream = None
    if shot.flow:
        stream = make_stream(shot.flow, still, frames, shot.seconds, stop_if_cancelled)
    if is_still and not shot.blur:
        return _stand_still(still, fine, frames, stream)
    modelled = estimate_depth(still)
    if modelled is None:
        near = guess_depth(still, travel_in_pixels(shot, size))
    else:
        near = fit_edges(_resize(modelled, size), still)
    if shot.blur:
        fine, spread = blur_away(fine, near, nearness_in_focus(shot, near), shot.blur)
        near = near if modelled is None else spread
        still = np.ascontiguousarray(fine[::2, ::2])
    if is_still:
        return _stand_still(still, fine, frames, stream)
    shot, near = hold_size(shot, near)
    drawing: Sheet | Layers
    if modelled is None:
        drawing = Sheet(fine, near)
        if stream:
            drawing = Sheet(fine, near, make_live(sharpen(fine)), stream.alpha)
    else:
        drawing = make_layers(still, fine, near, travel_in_pixels(shot, size), stream)
    return Renderer(still, drawing, plan_views(shot, near, drawing.rims), stream)


def _stand_still(still: 'numpy.ndarray', fine: 'numpy.ndarray', frames: int,
                 stream: Stream | None) -> Renderer:
    """What draws a photo seen from where it was taken."""
    import numpy as np
    if not stream:
        return Renderer(still)
    rows, columns = (2 * each for each in np.indices(still.shape[:2], np.float32))
    flat = Flat(still, make_live(sharpen(fine)), Sight(stream.alpha, (columns, rows)))
    return Renderer(still, flat, [View((0, 0))] * frames, stream)


def _resize(near: 'numpy.ndarray', size: tuple[int, int]) -> 'numpy.ndarray':
    import cv2
    import numpy as np
    # anything that overshoots beside a step would make a second edge of it
    return np.clip(cv2.resize(near, size, interpolation = cv2.INTER_LINEAR), 0, 1)
