#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Moves a virtual camera through the photo along a closed path, so that near things move more than far ones; needs no
weights and no GPU. Where a depth model is among the local weights, that tells near from far.

Libraries: Pillow, numpy, OpenCV; the last two are imported when the engine loads.
"""

import importlib
import math
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from modules.configuration import Configuration
from modules.engines.camera.depth_model import MODEL, Depth
from modules.engines.common import are_never_coming, missing_libraries, recorded_options
from modules.engines.contract import DepthUse, EngineStatus
from modules.i18n import text
from modules.photos.sizes import Photo, result_size
from modules.progress import JobControl, OnProgress, Progress, StopIfCancelled

if TYPE_CHECKING:
    import numpy

    from modules.request import AnimationRequest

#: sideways travel, as a part of the picture's width, at motion 0 and what 255 adds
LEAST_TRAVEL, MORE_TRAVEL = 0.003, 0.047
#: nearness that stays in place when the camera moves sideways; what is nearer moves against the camera
PIVOT = 0.2
#: how much neighbouring pixels may be pulled apart or pushed together by a depth edge, as a part of their distance
MOST_STRETCH = 0.22
#: sides, in pixels, between which a camera can move: below, nothing would be seen of it; above, OpenCV cannot
SHORTEST, LONGEST = 8, 16000


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


def path(seed: int, frames: int) -> CameraPath:
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


class CameraMotion:
    """
    The camera motion engine.

    :param configuration: the options
    :type configuration: Configuration
    :param depth: tells near from far; None for what the options say
    :type depth: Depth | None
    :param are_libraries_coming: whether libraries are being installed at this moment
    :type are_libraries_coming: Callable[[], bool]
    """

    parameters = ('motion_bucket_id', 'seed')
    is_closed = True
    #: with a depth model too: it tells where pixels go, and every pixel is the photo's own
    is_generative = False

    def __init__(self,
                 configuration: Configuration,
                 depth: Depth | None = None,
                 are_libraries_coming: Callable[[], bool] = are_never_coming):
        self.model = configuration.model
        self._depth = depth or Depth(configuration, are_libraries_coming = are_libraries_coming)
        #: the model that told near from far in the last clip
        self._depth_used: str | None = None

    def status(self) -> EngineStatus:
        """
        Say what the engine can do now.

        :return: the status
        :rtype: EngineStatus
        """
        is_missing = missing_libraries('cv2', 'numpy')
        reason = self._depth.unavailable()
        return EngineStatus(
            text('engines.camera_unavailable') if is_missing else None,
            depth = DepthUse(None if reason else MODEL, reason))

    def load(self) -> None:
        """Import the libraries, which takes a moment, and load the depth model, if any, before the first job."""
        importlib.import_module('cv2')
        importlib.import_module('modules.engines.camera.depth_guess')
        self._depth.load()

    def prepare(self, _stop_if_cancelled: StopIfCancelled) -> None:
        """
        Nothing would make later clips faster.

        :param _stop_if_cancelled: unused
        :type _stop_if_cancelled: StopIfCancelled
        """

    def settings(self, _request: 'AnimationRequest') -> dict[str, object]:
        """
        What was set that changes the result.

        :param _request: what was wanted, which changes nothing here
        :type _request: AnimationRequest
        :return: keys of the INI's ``[ModelOptions]`` → values; ``Depth`` is the model that told near from far in the
            last clip, and is not there where none did
        :rtype: dict[str, object]
        """
        used = {'Depth': self._depth_used} if self._depth_used else {}
        return {**recorded_options(self.model), **used}

    def animate(self, photo: Photo, request: 'AnimationRequest',
                control: JobControl) -> 'numpy.ndarray':
        """
        Make the frames of a clip that loops without a jump. Frame 0 is the photo itself, resized with Lanczos.

        :param photo: the upright photo
        :type photo: Photo
        :param request: ``motion_bucket_id`` sets how far the camera travels, ``seed`` where to
        :type request: AnimationRequest
        :param control: is told after every frame and before a model looks at the photo, and ends the work before
            every frame
        :type control: JobControl
        :return: frames, uint8 [T, H, W, 3], sRGB; the same photo, request and number of frames give the same bytes,
            with a depth model on the same machine
        :rtype: numpy.ndarray
        :raises modules.errors.Cancelled: when the job is no longer wanted
        """
        import numpy as np
        total = self.model.output_frames
        width, height = result_size(photo.full_size,
                                    self.model.image_prompt_width * self.model.image_prompt_height)
        frames = np.empty((total, height, width, 3), np.uint8)
        control.stop_if_cancelled()
        shots = _prepare(photo.image, (width, height), request, total,
                         lambda still: self._nearness(still, control.report))
        for frame in range(total):
            control.stop_if_cancelled()
            shots.take(frame, frames[frame])
            control.report(Progress('step', frame + 1, total, frames[frame]))
        return frames

    def _nearness(self, still: 'numpy.ndarray', on_progress: OnProgress) -> 'numpy.ndarray | None':
        """What the model tells, where there is one; a model that has come since the last clip is taken into use."""
        self._depth_used = None
        self._depth.load()
        if reason := self._depth.unavailable():
            if self._depth.wanted == MODEL:
                on_progress(
                    Progress('encoding', note = text('engines.depth_instead', reason = reason)))
            return None
        on_progress(Progress('encoding'))
        near, note = self._depth.nearness(still)
        if note:
            on_progress(Progress('encoding', note = note))
        self._depth_used = None if near is None else MODEL
        return near


@dataclass(frozen = True)
class _Shots:
    """All that is the same for every frame of one clip. Without ``field`` the camera stands still."""

    #: uint8 [H, W, 3]
    still: 'numpy.ndarray'
    #: uint8 [2H - 1, 2W - 1, 3]
    fine: 'numpy.ndarray | None' = None
    field: 'Displacement | None' = None
    path: CameraPath | None = None

    def take(self, frame: int, into: 'numpy.ndarray') -> None:
        import cv2
        if frame == 0 or not self.field:
            into[:] = self.still
            return
        columns, rows = self.field.at(self.path, frame)
        # the path never looks beyond the border; the cubic's neighbourhood does, by a pixel
        cv2.remap(
            self.fine, columns, rows, cv2.INTER_CUBIC, dst = into, borderMode = cv2.BORDER_REFLECT)


def _prepare(image: Image.Image, size: tuple[int, int], request: 'AnimationRequest', frames: int,
             nearness: Callable[['numpy.ndarray'], 'numpy.ndarray | None']) -> _Shots:
    import numpy as np
    if min(size) < SHORTEST or max(size) > LONGEST:
        return _Shots(np.asarray(image.resize(size, Image.Resampling.LANCZOS)))
    fine = _twice_as_fine(image, size)
    still = np.ascontiguousarray(fine[::2, ::2])
    along = path(request.seed, frames)
    travel = LEAST_TRAVEL + MORE_TRAVEL * request.motion_bucket_id / 255
    field = displacement(still, travel, along.push, near = nearness(still))
    return _Shots(still, fine, field, along)


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
        The map of one frame.

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


def displacement(picture: 'numpy.ndarray',
                 travel: float,
                 push: float,
                 *,
                 near: 'numpy.ndarray | None' = None) -> Displacement:
    """
    Work out how a picture's pixels move with the camera.

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


def _twice_as_fine(image: Image.Image, size: tuple[int, int]) -> 'numpy.ndarray':
    """
    A photo resized and sampled twice as densely, uint8 [2H - 1, 2W - 1, 3]: even rows and columns are the photo as
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
            fine[down::2, right::2] = across.resize(
                (width - right, height - down), Image.Resampling.LANCZOS,
                (0, down * half_y, width - right, image.height - down * half_y))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, (0, 1)))
    return fine
