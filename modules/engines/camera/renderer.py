#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From a photo, its depth and a camera path to frames: every frame's pixels are taken from the photo where the camera sees
them.

Libraries: Pillow; numpy and OpenCV, imported when a clip is made.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from modules.engines.camera.path import CameraPath, Shot

if TYPE_CHECKING:
    import numpy

#: nearness that stays in place when the camera moves sideways; what is nearer moves against the camera
PIVOT = 0.2
#: how much neighbouring pixels may be pulled apart or pushed together by a depth edge, as a part of their distance
MOST_STRETCH = 0.22
#: sides, in pixels, between which a camera can move: below, nothing would be seen of it; above, OpenCV cannot
SHORTEST, LONGEST = 8, 16000

#: picture, uint8 [H, W, 3] → nearness, float32 [h, w], 0–1; None where the rules of ``depth_guess`` are to estimate it
EstimateDepth = Callable[['numpy.ndarray'], 'numpy.ndarray | None']


@dataclass(frozen = True)
class Motion:
    """How the camera moves through one photo."""

    path: CameraPath
    #: uint8 [2H - 1, 2W - 1, 3], the photo sampled twice as densely as a frame
    fine: 'numpy.ndarray'
    displacement: 'Displacement'


@dataclass(frozen = True)
class Renderer:
    """Draws the frames of one clip."""

    #: uint8 [H, W, 3], frame 0
    still: 'numpy.ndarray'
    #: None where the camera stands still
    motion: Motion | None = None

    def draw(self, frame: int, into: 'numpy.ndarray') -> None:
        """
        Draw a frame.

        :param frame: its index
        :type frame: int
        :param into: uint8 [H, W, 3], is overwritten
        :type into: numpy.ndarray
        """
        import cv2
        if frame == 0 or not self.motion:
            into[:] = self.still
            return
        columns, rows = self.motion.displacement.at(self.motion.path, frame)
        # the path never looks beyond the border; the cubic's neighbourhood does, by a pixel
        cv2.remap(
            self.motion.fine,
            columns,
            rows,
            cv2.INTER_CUBIC,
            dst = into,
            borderMode = cv2.BORDER_REFLECT)


def prepare_renderer(image: Image.Image, size: tuple[int, int], shot: Shot,
                     estimate_depth: EstimateDepth) -> Renderer:
    """
    Do what is the same for every frame of a clip.

    :param image: the upright photo, RGB
    :type image: Image.Image
    :param size: width and height of the frames
    :type size: tuple[int, int]
    :param shot: where the camera goes
    :type shot: Shot
    :param estimate_depth: called with frame 0
    :type estimate_depth: EstimateDepth
    :return: what draws the frames
    :rtype: Renderer
    """
    import numpy as np
    if min(size) < SHORTEST or max(size) > LONGEST:
        return Renderer(np.asarray(image.resize(size, Image.Resampling.LANCZOS)))
    fine = _sample_twice(image, size)
    still = np.ascontiguousarray(fine[::2, ::2])
    path = shot.path
    displacement = compute_displacement(still, shot.travel, path.push, near = estimate_depth(still))
    return Renderer(still, Motion(path, fine, displacement))


@dataclass(frozen = True)
class Displacement:
    """Where a frame's pixels come from, in pixels of the finely sampled photo; all float32."""

    #: [H, W] column and row of every pixel in frame 0
    columns: 'numpy.ndarray'
    rows: 'numpy.ndarray'
    #: [H, W] how far zoom and push draw pixels outwards at full ease
    zoom_columns: 'numpy.ndarray'
    zoom_rows: 'numpy.ndarray'
    #: [H, W] how far full travel moves pixels sideways; vertical travel is ``upright`` times that
    parallax: 'numpy.ndarray'
    upright: float

    def at(self, along: CameraPath, frame: int) -> tuple['numpy.ndarray', 'numpy.ndarray']:
        """
        Compute the map of one frame.

        :param along: the camera's path
        :type along: CameraPath
        :param frame: its index
        :type frame: int
        :return: column and row of every pixel, float32 [H, W] each
        :rtype: tuple[numpy.ndarray, numpy.ndarray]
        """
        import cv2
        columns = cv2.scaleAdd(self.zoom_columns, -along.ease[frame], self.columns)
        rows = cv2.scaleAdd(self.zoom_rows, -along.ease[frame], self.rows)
        columns = cv2.scaleAdd(self.parallax, along.x[frame], columns)
        return columns, cv2.scaleAdd(self.parallax, along.y[frame] * self.upright, rows)


def compute_displacement(picture: 'numpy.ndarray',
                         travel: float,
                         push: float,
                         *,
                         near: 'numpy.ndarray | None' = None) -> Displacement:
    """
    Compute how a picture's pixels move with the camera.

    :param picture: uint8 [H, W, 3], sRGB
    :type picture: numpy.ndarray
    :param travel: greatest sideways travel, as a part of the width
    :type travel: float
    :param push: how far the camera walks into the scene, in terms of ``travel``
    :type push: float
    :param near: float32 [h, w], 0–1, of the grid; None lets the depth guess tell
    :type near: numpy.ndarray | None
    :return: the parts from which each frame's map is put together
    :rtype: Displacement
    """
    import cv2
    import numpy as np

    from modules.engines.camera import depth_guess
    height, width = picture.shape[:2]
    reach, rise = min(width, 2 * height), 0.6 * min(height, 2 * width)
    near = depth_guess.nearness(picture) if near is None else near
    cell = max(height, width) / max(near.shape)
    steepness = travel * (reach + push * max(width, height) / 2)
    slope = MOST_STRETCH * cell / steepness
    near = depth_guess.limit_slope(depth_guess.straightened(near, picture, slope), slope)
    near = cv2.resize(near, (width, height), interpolation = cv2.INTER_CUBIC)
    from_pivot = near - PIVOT
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    sides = (np.abs(from_pivot) * reach / middle_x - push * near)[:, [0, -1]].max()
    ends = (np.abs(from_pivot) * rise / middle_y - push * near)[[0, -1]].max()
    # as little as keeps every border out of sight, and more where a near thing comes nearer
    zoom = travel * (max(0, sides, ends) + push * near)
    x = np.arange(width, dtype = np.float32)[None] - middle_x
    y = np.arange(height, dtype = np.float32)[:, None] - middle_y
    zeros = np.zeros_like(near)
    return Displacement(2 * (x + middle_x) + zeros, 2 * (y + middle_y) + zeros, 2 * x * zoom,
                        2 * y * zoom, 2 * travel * reach * from_pivot, rise / reach)


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
