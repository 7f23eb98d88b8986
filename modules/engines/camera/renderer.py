#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From a photo, its depth and a camera path to frames: every frame's pixels are taken from the photo where the camera sees
them.

Libraries: Pillow; numpy and OpenCV, imported when a clip is made.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from modules.engines.camera.blur import blur_away
from modules.engines.camera.edges import fit_edges
from modules.engines.camera.layers import make_layers
from modules.engines.camera.path import Shot
from modules.engines.camera.sheet import Sheet, guess_depth
from modules.engines.camera.view import (
    View,
    hold_size,
    nearness_in_focus,
    plan_views,
    travel_in_pixels,
)

if TYPE_CHECKING:
    import numpy

#: sides, in pixels, between which a camera can move: below, nothing would be seen of it; above, OpenCV cannot
SHORTEST, LONGEST = 8, 16000

#: picture, uint8 [H, W, 3] → nearness, float32 [h, w], 0–1; None where the rules of ``depth_guess`` are to estimate it
EstimateDepth = Callable[['numpy.ndarray'], 'numpy.ndarray | None']


class Drawing(Protocol):
    """A photo with depth that can be seen from other views."""

    def draw(self, view: View, into: 'numpy.ndarray') -> None:
        """
        Draw a view.

        :param view: what is shown
        :type view: View
        :param into: uint8 [H, W, 3], is overwritten
        :type into: numpy.ndarray
        """


@dataclass(frozen = True)
class Renderer:
    """Draws the frames of one clip."""

    #: uint8 [H, W, 3], frame 0
    still: 'numpy.ndarray'
    #: None where the camera stands still
    drawing: Drawing | None = None
    #: what each frame shows
    views: list[View] = field(default_factory = list)

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
            self.drawing.draw(self.views[frame], into)


def prepare_renderer(image: Image.Image, size: tuple[int, int], shot: Shot,
                     estimate_depth: EstimateDepth) -> Renderer:
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
    :return: what draws the frames
    :rtype: Renderer
    """
    import numpy as np
    is_still = not any(shot.path.ease)
    if min(size) < SHORTEST or max(size) > LONGEST or (is_still and not shot.blur):
        return Renderer(np.asarray(image.resize(size, Image.Resampling.LANCZOS)))
    fine = _sample_twice(image, size)
    still = np.ascontiguousarray(fine[::2, ::2])
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
        return Renderer(still)
    shot, near = hold_size(shot, near)
    drawing = Sheet(fine, near) if modelled is None else make_layers(still, fine, near,
                                                                     travel_in_pixels(shot, size))
    return Renderer(still, drawing, plan_views(shot, near, drawing.rims))


def _resize(near: 'numpy.ndarray', size: tuple[int, int]) -> 'numpy.ndarray':
    import cv2
    import numpy as np
    # anything that overshoots beside a step would make a second edge of it
    return np.clip(cv2.resize(near, size, interpolation = cv2.INTER_LINEAR), 0, 1)


def _sample_twice(image: Image.Image, size: tuple[int, int]) -> 'numpy.ndarray':
    """
    Resize a photo and sample it twice as densely, uint8 [2H - 1, 2W - 1, 3]: even rows and columns are the photo as
    Pillow resizes it, odd ones what it gives half a pixel further. Frames drawn from it are neither softer
    nor sharper than frame 0.
    """
    import numpy as np
    width, height = size
    half_x, half_y = image.width / width / 2, image.height / height / 2
    fine = np.empty((2 * height - 1, 2 * width - 1, 3), np.uint8)

    def fill(right: int) -> None:
        across = image.resize((width - right, image.height), Image.Resampling.LANCZOS,
                              (right * half_x, 0, image.width - right * half_x, image.height))
        for down in (0, 1):
            fine[down::2, right::2] = np.asarray(
                across.resize((width - right, height - down), Image.Resampling.LANCZOS,
                              (0, down * half_y, width - right, image.height - down * half_y)))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, (0, 1)))
    return fine
