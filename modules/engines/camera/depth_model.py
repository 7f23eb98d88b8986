#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A depth model for the camera: Depth Anything V2 Small (Yang and others, 2024), where it is among the local weights,
estimates how near things are. Where it is not, or cannot be used, the rules of ``depth_guess`` do, and the reason is
shown. The model makes no picture.

Libraries: torch, transformers, safetensors and huggingface_hub, imported when there is a model to load; numpy, OpenCV,
Pillow.
"""

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from modules import weights
from modules.choices import DEPTHS
from modules.configuration import Configuration
from modules.engines.camera import depth_guess, files
from modules.engines.common import COMING, are_never_coming, first_line
from modules.i18n import Text, text

if TYPE_CHECKING:
    import numpy
    import torch

logger = logging.getLogger(__name__)

#: the model, as the option ``Depth`` and files call it; and what that option calls the guess without a model
PRIOR, MODEL = DEPTHS

#: most pixels of the longer side that are looked at, and least of the shorter: the model itself looks at 518 of the
#: shorter side, whatever that means for the longer one of a panorama, or the other way round, and then at none of a
#: strip's shorter side
LONGEST, SHORTEST = 2 * 518, 2 * 14
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


class Depth:
    """
    The depth model as the camera uses it. Making one imports nothing; it is used by one thread at a time.

    :param configuration: the options
    :type configuration: Configuration
    :param open_model: folder and the option ``Device`` → the model
    :type open_model: Callable[[Path, str], Model] | None
    :param are_libraries_coming: whether libraries are just being installed
    :type are_libraries_coming: Callable[[], bool]
    """

    def __init__(self,
                 configuration: Configuration,
                 open_model: Callable[[Path, str], Model] | None = None,
                 are_libraries_coming: Callable[[], bool] = are_never_coming):
        self.wanted = configuration.model.depth
        self._device = configuration.model.device
        self._find = partial(weights.find, configuration, files.DEPTH)
        self._open = open_model or DepthAnything
        self._are_libraries_coming = are_libraries_coming
        self._model: Model | None = None
        self._failure: Text | None = None
        self._lock = threading.Lock()

    def unavailable(self) -> Text | None:
        """
        Say why the model cannot be used; cheap.

        :return: the reason, or None when it can
        :rtype: Text | None
        """
        if self.wanted == PRIOR:
            return text('engines.depth_set_aside')
        if self._model is not None or self._failure:
            return self._failure
        if self._find() is None:
            return text('engines.depth_no_weights', model = files.DEPTH.hub_name)
        if self._are_libraries_coming():
            return COMING
        return files.explain_libraries()

    def load(self) -> None:
        """Load the model where it has come and has not been loaded. One that cannot be used is not tried again."""
        with self._lock:
            folder = self._find()
            if folder is None or self._model is not None or self.unavailable():
                return
            try:
                self._model = self._open(folder, self._device)
            except FAULTS as error:
                logger.exception('%s cannot be used', folder)
                self._failure = text(
                    'engines.depth_cannot_load', folder = folder, error = first_line(error))

    def nearness(self, picture: 'numpy.ndarray') -> tuple['numpy.ndarray | None', Text | None]:
        """
        Estimate with the loaded model how near every part of a photo is.

        :param picture: uint8 [H, W, 3], sRGB
        :type picture: numpy.ndarray
        :return: float32 [h, w] as :func:`modules.engines.camera.depth_guess.nearness` gives it, or None where the model
            finds no differences or fails; and a note on that
        :rtype: tuple[numpy.ndarray | None, Text | None]
        """
        if self._model is None:
            return None, self.unavailable()
        try:
            disparity = self._model.disparity(picture)
        except FAULTS as error:
            logger.exception('The depth model failed')
            return None, text('engines.depth_failed', error = first_line(error))
        return scaled(disparity, depth_guess.grid(picture)), None


class DepthAnything:
    """
    Depth Anything, loaded without using the network. It stays in main memory and is moved to the GPU only while it
    computes, so that it takes no memory from a model that stays there.

    :param folder: a whole model
    :type folder: Path
    :param option: the option ``Device``
    :type option: str
    """

    def __init__(self, folder: Path, option: str):
        import torch
        import transformers
        from huggingface_hub.errors import StrictDataclassError
        from safetensors import SafetensorError

        from modules.engines.diffusion import devices
        from modules.engines.diffusion.loading import loading
        transformers.utils.logging.disable_progress_bar()
        try:
            with loading():
                # of the two things that are returned then, the library's types know one
                loaded: Any = transformers.DepthAnythingForDepthEstimation.from_pretrained(
                    folder,
                    variant = weights.variants(folder, files.DEPTH)[-1],
                    local_files_only = True,
                    output_loading_info = True)
        except (SafetensorError, StrictDataclassError) as error:
            raise OSError(str(error)) from error
        self._model, report = loaded
        if report['missing_keys']:
            # they would be random numbers
            raise ValueError(f'no {min(report["missing_keys"])}')
        if self._model.config.depth_estimation_type != 'relative':
            raise ValueError(f'{self._model.config.depth_estimation_type} depth')
        self._model.float().eval()
        self._prepare = transformers.AutoImageProcessor.from_pretrained(
            folder, local_files_only = True)
        found = devices.find_device(option, torch) or 'cpu'
        self._device = found if found.startswith('cuda') else 'cpu'
        # computing a corner shows whether the files fit each other
        side = 5 * self._model.config.patch_size
        corner = Image.new('RGB', (side, side), (90, 120, 80))
        self._compute(self._pixels(corner)[..., :side, :side])

    def disparity(self, picture: 'numpy.ndarray') -> 'numpy.ndarray':
        """
        Estimate disparity.

        :param picture: uint8 [H, W, 3], sRGB
        :type picture: numpy.ndarray
        :return: float32 [h, w], larger where it is nearer
        :rtype: numpy.ndarray
        :raises ValueError: when the model gives what are no numbers
        """
        image = Image.fromarray(picture)
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        image = image.resize((max(SHORTEST, image.width), max(SHORTEST, image.height)))
        return self._compute(self._pixels(image))

    def _pixels(self, image: Image.Image) -> 'torch.Tensor':
        return self._prepare(images = image, return_tensors = 'pt')['pixel_values']

    def _compute(self, pixels: 'torch.Tensor') -> 'numpy.ndarray':
        """On the CPU where the GPU has no room left."""
        import numpy as np
        import torch
        try:
            found = self._on(self._device, pixels)
        except torch.OutOfMemoryError:
            found = self._on('cpu', pixels)
        if not np.isfinite(found).all():
            raise ValueError('it gives what are no numbers')
        return found

    def _on(self, device: str, pixels: 'torch.Tensor') -> 'numpy.ndarray':
        import torch

        from modules.engines.diffusion import devices
        try:
            self._model.to(device)
            with torch.inference_mode():
                found = self._model(pixel_values = pixels.to(device)).predicted_depth
                return found[0].cpu().numpy()
        finally:
            self._model.to('cpu')
            devices.empty_cache(device)


def scaled(disparity: 'numpy.ndarray', size: tuple[int, int]) -> 'numpy.ndarray | None':
    """
    Disparity of any scale → nearness as the camera takes it: on its grid, and from 0 to 1 between what is far and what
    is near in this photo, a few outliers aside. The model sees edges finer than the grid, and the camera keeps the near
    side of each as it is; a guided filter between the two, as the guess has one, was tried and only blurred them.

    :param disparity: float32 [h, w], finite, larger where it is nearer
    :type disparity: numpy.ndarray
    :param size: width and height, from :func:`modules.engines.camera.depth_guess.grid`
    :type size: tuple[int, int]
    :return: float32 [height, width]; None where everything is equally far
    :rtype: numpy.ndarray | None
    """
    import cv2
    import numpy as np
    small = cv2.resize(disparity, size, interpolation = cv2.INTER_AREA)
    # one cell that is near by mistake would pull a wide circle along
    small = cv2.medianBlur(small, 3).astype(np.float64)
    far, near = np.percentile(small, (FAR, NEAR))
    if near - far <= FLAT * max(abs(far), abs(near)):
        return None
    return ((small - far) / (near - far)).clip(0, 1).astype(np.float32)
