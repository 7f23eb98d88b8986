#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Moves a virtual camera through the photo along a closed path, so that near things move more than far ones; needs no
weights and no GPU. Where a depth model is among the local weights, that estimates depth.

Libraries: numpy, OpenCV; imported when the engine loads.
"""

import importlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from modules.configuration import Configuration
from modules.engines.camera.depth_model import MODEL, Depth
from modules.engines.camera.files import DEPTH
from modules.engines.camera.path import Shot, choose_path
from modules.engines.camera.renderer import prepare_renderer
from modules.engines.common import are_never_coming, missing_libraries, recorded_options
from modules.engines.contract import DepthUse, Engine, EngineStatus
from modules.i18n import text
from modules.photos.sizes import Photo, result_size
from modules.progress import JobControl, OnProgress, Progress, StopIfCancelled

if TYPE_CHECKING:
    import numpy

    from modules.request import AnimationRequest

#: frames a second: fewer would be seen to stutter, more not to be smoother
FPS = 30
#: length of a clip where nobody says anything about it
SECONDS = 3.0
#: sideways travel, as a part of the picture's width, at motion 0 and what 255 adds
LEAST_TRAVEL, MORE_TRAVEL = 0.003, 0.047

#: reasons against the depth model that are no news to who has not asked for it
USUAL_REASONS = ('engines.depth_set_aside', 'engines.depth_no_weights')
#: those that go when the model is fetched
NO_DEPTH_MODEL = ('engines.depth_no_weights', 'engines.depth_coming')


class CameraMotion(Engine):
    """
    The camera motion engine.

    :param configuration: the options
    :type configuration: Configuration
    :param depth: the depth model; None for what the options say
    :type depth: Depth | None
    :param are_libraries_coming: of no account, because none that is used here comes after the start
    :type are_libraries_coming: Callable[[], bool]
    """

    parameters = ('motion_bucket_id', 'seed', 'seconds', 'move', 'focus', 'blur', 'flow')
    fps: float = FPS
    is_closed = True
    #: with a depth model too: it decides where pixels go, and what comes into view is filled from the photo beside it
    is_generative = False

    def __init__(self,
                 configuration: Configuration,
                 depth: Depth | None = None,
                 are_libraries_coming: Callable[[], bool] = are_never_coming):  # noqa: ARG002
        self.model = configuration.model
        self._depth = depth or Depth(configuration)
        self.usual_seconds: float = self.model.seconds or min(SECONDS, self.model.max_seconds)
        #: the model that estimated depth in the last clip
        self._depth_used: str | None = None

    def status(self) -> EngineStatus:
        is_missing = missing_libraries('cv2', 'numpy')
        reason = self._depth.unavailable()
        return EngineStatus(
            text('engines.camera_unavailable') if is_missing else None,
            fetchable = DEPTH.key if reason and reason.key in NO_DEPTH_MODEL else '',
            depth = DepthUse(None if reason else MODEL, reason))

    def load(self) -> None:
        """Import the libraries, which takes a moment, and load the depth model, if any, before the first job."""
        importlib.import_module('cv2')
        importlib.import_module('modules.engines.camera.depth_guess')
        self._depth.load()

    def prepare(self, stop_if_cancelled: StopIfCancelled) -> None:
        # nothing would make later clips faster
        pass

    def settings(self, request: 'AnimationRequest') -> dict[str, object]:
        # the model that estimated depth in the last clip
        used = {'Depth': self._depth_used} if self._depth_used else {}
        return {**recorded_options(self.model), 'Seconds': self.usual_seconds, **used}

    def animate(self, photo: Photo, request: 'AnimationRequest',
                control: JobControl) -> Iterator['numpy.ndarray']:
        """
        Make the frames of a clip that loops without a jump. Frame 0 is the photo itself, resized with Lanczos.

        :param photo: the upright photo
        :type photo: Photo
        :param request: ``motion_bucket_id`` sets how far the camera travels, ``move`` and ``seed`` where to,
            ``seconds`` how long; ``focus`` and ``blur`` what stays in place, and sharp; ``flow`` what flows
        :type request: AnimationRequest
        :param control: takes the progress after every frame and before a model estimates depth, and ends the work
            before every frame
        :type control: JobControl
        :yield: frames, uint8 [H, W, 3], sRGB; the same photo, request and number of frames give the same bytes,
            with a depth model on the same machine
        :ytype: numpy.ndarray
        :raises modules.errors.Cancelled: when the job is no longer wanted
        """
        import numpy as np
        total = round(FPS * (request.seconds or self.usual_seconds))
        width, height = result_size(photo.full_size,
                                    self.model.image_prompt_width * self.model.image_prompt_height)
        control.stop_if_cancelled()
        travel = LEAST_TRAVEL + MORE_TRAVEL * request.motion_bucket_id / 255
        path = choose_path(request.move, request.seed, total)
        shot = Shot(path, travel, request.focus_point, request.blur, request.drawn_flow,
                    total / FPS)
        renderer = prepare_renderer(photo.image, (width, height), shot,
                                    lambda still: self._estimate_depth(still, control.report),
                                    control.stop_if_cancelled)
        for number in range(total):
            control.stop_if_cancelled()
            frame = np.empty((height, width, 3), np.uint8)
            renderer.draw(number, frame)
            control.report(Progress('step', number + 1, total, frame))
            yield frame

    def _estimate_depth(self, still: 'numpy.ndarray', report: OnProgress) -> 'numpy.ndarray | None':
        """Ask the model, where there is one; a model that has come since the last clip is loaded first."""
        self._depth_used = near = None
        reason = self._depth.unavailable()
        if reason is None:
            report(Progress('encoding'))
            near, reason = self._depth.nearness(still)
        if reason and (self._depth.wanted == MODEL or reason.key not in USUAL_REASONS):
            report(Progress('encoding', note = text('engines.depth_instead', reason = reason)))
        self._depth_used = None if near is None else MODEL
        return near
