#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A depth model for the camera, where it is among the local weights: it estimates how near things are. Where it is not, or
cannot be used, the rules of ``depth_guess`` do, and the reason is shown. The model makes no picture.

Libraries: numpy and OpenCV, imported when there is something to estimate.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from modules import weights
from modules.choices import DEPTHS
from modules.configuration import Configuration
from modules.engines.camera.depth_network import DESCRIPTION, DepthAnything
from modules.engines.camera.files import DEPTH
from modules.engines.common import first_line, missing_libraries
from modules.i18n import Text, text
from modules.weights.download import is_being_fetched

if TYPE_CHECKING:
    import numpy

logger = logging.getLogger(__name__)

#: the model, as the option ``Depth`` and files call it; and what that option calls the guess without a model
PRIOR, MODEL = DEPTHS

#: parts of the picture, in percent, that may be farther and nearer than what counts as far and near
FAR, NEAR = 1, 99
#: where disparity varies by less than this part of itself, there is nothing to be told apart
FLAT = 0.05

#: what broken installations and files of other models raise when they are loaded
FAULTS = (ImportError, OSError, RuntimeError, ValueError, TypeError, AttributeError, LookupError,
          ArithmeticError, MemoryError)


class Model(Protocol):
    """Tells how near everything is."""

    def disparity(self, picture: 'numpy.ndarray') -> 'numpy.ndarray':
        """
        Look at a picture.

        :param picture: uint8 [H, W, 3], sRGB
        :type picture: numpy.ndarray
        :return: float32 [h, w], larger where it is nearer (1 / distance, up to an unknown factor and summand)
        :rtype: numpy.ndarray
        """


class _File(NamedTuple):
    """A file of the model as it is now."""

    path: Path
    #: sizes and times, of itself and of what describes its pictures
    state: tuple[tuple[int, int], ...]


class Depth:
    """
    The depth model as the camera uses it. Making one imports nothing; it is used by one thread at a time.

    :param configuration: the options
    :type configuration: Configuration
    :param open_model: file → the model
    :type open_model: Callable[[Path], Model]
    """

    def __init__(self,
                 configuration: Configuration,
                 open_model: Callable[[Path], Model] = DepthAnything):
        self.wanted = configuration.model.depth
        self._configuration = configuration
        self._open = open_model
        self._model: Model | None = None
        self._loaded: _File | None = None
        #: files that cannot be used, and why; one that has changed is tried again
        self._faults: dict[_File, Text] = {}
        self._lock = threading.Lock()

    def unavailable(self) -> Text | None:
        """
        Say why the model cannot be used; cheap.

        :return: the reason, or None when it can
        :rtype: Text | None
        """
        if self.wanted == PRIOR:
            return text('engines.depth_set_aside')
        if self._model is not None:
            return None
        files = self._list_files()
        if not files:
            is_coming = is_being_fetched(self._configuration, DEPTH)
            key = 'engines.depth_coming' if is_coming else 'engines.depth_no_weights'
            return text(key, model = DEPTH.hub_name, size = round(DEPTH.size / 1e6))
        if missing := missing_libraries('onnxruntime'):
            return text('engines.depth_no_libraries', libraries = ', '.join(missing))
        return None if any(file not in self._faults for file in files) else self._faults[files[0]]

    def load(self) -> None:
        """Load the model where it has come and has not been loaded. A file that cannot be used is set aside."""
        with self._lock:
            if self._model is not None or self.unavailable():
                return
            for file in self._list_files():
                if file not in self._faults and self._load(file):
                    return

    def nearness(self, picture: 'numpy.ndarray') -> tuple['numpy.ndarray | None', Text | None]:
        """
        Estimate how near every part of a photo is; a model that has come since the last clip is loaded first.

        :param picture: uint8 [H, W, 3], sRGB
        :type picture: numpy.ndarray
        :return: float32 [h, w] as :func:`modules.engines.camera.depth_guess.nearness` gives it, or None where the model
            finds no differences, fails or cannot be used; and why it did not work
        :rtype: tuple[numpy.ndarray | None, Text | None]
        """
        self.load()
        if self._model is None:
            return None, self.unavailable() or _explain_failure(MemoryError())
        try:
            return scaled(self._model.disparity(picture)), None
        except FAULTS as error:
            logger.exception('The depth model failed')
            if isinstance(error, ValueError) and self._loaded:
                # whatever the photo, it should give numbers
                self._set_aside(self._loaded, error)
            self._model = self._loaded = None
            return None, _explain_failure(error)

    def _list_files(self) -> list[_File]:
        """List the model's files that are here and whole, the best first."""
        folder = weights.find(self._configuration, DEPTH)
        paths = weights.list_single_files(folder, DEPTH) if folder else []
        return [
            _File(path, (_read_state(path), _read_state(path.parent.parent / DESCRIPTION)))
            for path in paths
        ]

    def _load(self, file: _File) -> bool:
        try:
            self._model = self._open(file.path)
        except FAULTS as error:
            logger.exception('%s cannot be used', file.path)
            if not isinstance(error, MemoryError):
                self._set_aside(file, error)
            return False
        self._loaded = file
        return True

    def _set_aside(self, file: _File, error: Exception) -> None:
        self._faults[file] = text(
            'engines.depth_cannot_load', file = file.path, error = first_line(error))


def _explain_failure(error: Exception) -> Text:
    return text('engines.depth_failed', error = first_line(error))


def _read_state(path: Path) -> tuple[int, int]:
    """Return a file's size and time; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def scaled(disparity: 'numpy.ndarray') -> 'numpy.ndarray | None':
    """
    Scale disparity to nearness, from 0 to 1 between what is far and what is near in this photo, a few outliers aside.

    :param disparity: float32 [h, w], finite, larger where it is nearer
    :type disparity: numpy.ndarray
    :return: float32 [h, w]; None where everything is equally far
    :rtype: numpy.ndarray | None
    """
    import cv2
    import numpy as np
    # a speck that is near by mistake would fly about
    clean = cv2.medianBlur(disparity.astype(np.float32), 5).astype(np.float64)
    far, near = np.percentile(clean, (FAR, NEAR))
    if near - far <= FLAT * max(abs(far), abs(near)):
        return None
    return ((clean - far) / (near - far)).clip(0, 1).astype(np.float32)
