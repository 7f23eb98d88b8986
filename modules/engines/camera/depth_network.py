#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Depth Anything V2 (Yang and others, 2024) as an ONNX file: the published model's pictures go in, disparity comes out.

Libraries: onnxruntime and numpy, imported when there is a model to load; Pillow.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import numpy

#: the names by which the published model takes its picture and gives its answer
INPUT, OUTPUT = 'pixel_values', 'predicted_depth'

#: beside which folder of files the description of their pictures lies
DESCRIPTION = 'preprocessor_config.json'

#: threads at most: more gain little, and other work goes on beside
MOST_THREADS = 4

#: most pixels of the longer side that are looked at, and least of the shorter: the model itself looks at 518 of the
#: shorter side, whatever that means for the longer one of a panorama, or the other way round, and then at none of a
#: strip's shorter side
LONGEST, SHORTEST = 2 * 518, 2 * 14

#: patches along each side of the picture with which a file is tried
TRIAL = 10

#: where an answer varies by less than this part of itself, it is the same everywhere
LEAST_SPREAD = 1e-5


@dataclass(frozen = True)
class Pictures:
    """What pictures a model takes; the defaults are those of the published one."""

    height: int = 518
    width: int = 518
    #: both sides are multiples of it
    multiple: int = 14
    #: of red, green and blue, 0–1
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    deviation: tuple[float, ...] = (0.229, 0.224, 0.225)

    @classmethod
    def read(cls, folder: Path) -> 'Pictures':
        """
        Read what a model's folder says of its pictures.

        :param folder: where :data:`DESCRIPTION` may lie
        :type folder: Path
        :return: what it says; the published model's where there is no such file
        :rtype: Pictures
        :raises ValueError: when it says something else
        :raises TypeError: likewise
        :raises LookupError: likewise
        """
        path = folder / DESCRIPTION
        if not path.is_file():
            return cls()
        found = json.loads(path.read_text(encoding = 'utf-8'))
        size = found['size']
        pictures = cls(
            int(size['height']), int(size['width']), int(found['ensure_multiple_of']),
            tuple(map(float, found['image_mean'])), tuple(map(float, found['image_std'])))
        is_usual = 0 < pictures.multiple <= min(pictures.height, pictures.width) <= LONGEST
        if not is_usual or len(pictures.mean) != 3 or len(pictures.deviation) != 3:
            raise ValueError(f'{DESCRIPTION} describes other pictures')
        return pictures

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """
        Compute the size that a picture is given: its own shape, and one side as the model wants it, the one for which
        it is scaled least.

        :param width: of the picture
        :type width: int
        :param height: of the picture
        :type height: int
        :return: width and height
        :rtype: tuple[int, int]
        """
        scale = min(self.width / width, self.height / height, key = lambda each: abs(1 - each))

        def scaled(side: int) -> int:
            return max(1, round(side * scale / self.multiple)) * self.multiple

        return scaled(width), scaled(height)

    def normalise(self, image: Image.Image, kind: str) -> 'numpy.ndarray':
        """
        Convert a picture to numbers.

        :param image: RGB, of a size that the model takes
        :type image: Image.Image
        :param kind: numpy's name of the numbers
        :type kind: str
        :return: [1, 3, h, w]
        :rtype: numpy.ndarray
        """
        import numpy as np
        pixels = np.asarray(image, np.float32) / 255
        pixels = (pixels - np.array(self.mean, np.float32)) / np.array(self.deviation, np.float32)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None].astype(kind))


class DepthAnything:
    """
    The model, loaded. It computes on the processor.

    :param path: an ONNX file, in a folder that lies beside the description of its pictures
    :type path: Path
    :raises ValueError: when it is another model, or its answer is of no use
    :raises RuntimeError: when onnxruntime cannot use it
    """

    def __init__(self, path: Path):
        import onnxruntime
        self._pictures = Pictures.read(path.parent.parent)
        options = onnxruntime.SessionOptions()
        # a fixed number on each machine, because it may change the last digits
        options.intra_op_num_threads = min(MOST_THREADS, os.cpu_count() or 1)
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 4
        # pictures have all sizes
        options.enable_mem_pattern = False
        # no thread waits for the next estimate at full speed
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        with _errors_of_the_library():
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers = ['CPUExecutionProvider'])
        taken, given = self._session.get_inputs(), self._session.get_outputs()
        names = [each.name for each in taken]
        if names != [INPUT] or OUTPUT not in [each.name
                                              for each in given] or len(taken[0].shape) != 4:
            raise ValueError(f'it takes {", ".join(names)}, not {INPUT} alone')
        self._kind = 'float16' if 'float16' in taken[0].type else 'float32'
        #: height and width, where the file takes no others
        self._fixed = [side for side in taken[0].shape[2:] if isinstance(side, int)]
        self._try()

    def disparity(self, picture: 'numpy.ndarray') -> 'numpy.ndarray':
        """
        Estimate disparity.

        :param picture: uint8 [H, W, 3], sRGB
        :type picture: numpy.ndarray
        :return: float32 [h, w], larger where it is nearer
        :rtype: numpy.ndarray
        :raises ValueError: when the model gives what are no numbers
        :raises RuntimeError: when onnxruntime fails
        """
        image = Image.fromarray(picture)
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        image = image.resize((max(SHORTEST, image.width), max(SHORTEST, image.height)))
        return self._compute(image.resize(self._size(image), Image.Resampling.BICUBIC))

    def _size(self, image: Image.Image) -> tuple[int, int]:
        if len(self._fixed) == 2:
            return self._fixed[1], self._fixed[0]
        return self._pictures.fit(*image.size)

    def _compute(self, image: Image.Image) -> 'numpy.ndarray':
        import numpy as np
        import onnxruntime
        pixels = self._pictures.normalise(image, self._kind)
        once = onnxruntime.RunOptions()
        # what one estimate takes is given back after it
        once.add_run_config_entry('memory.enable_memory_arena_shrinkage', 'cpu:0')
        with _errors_of_the_library():
            answer: Any = self._session.run([OUTPUT], {INPUT: pixels}, once)[0]
        found = np.asarray(answer, np.float32)
        if found.size < 2 or found.ndim < 2 or found.size != found.shape[-1] * found.shape[-2]:
            raise ValueError(f'its answer has the shape {list(found.shape)}')
        if not np.isfinite(found).all():
            raise ValueError('it gives what are no numbers')
        return found.reshape(found.shape[-2:])

    def _try(self) -> None:
        """Estimate a small landscape: a sky, and ground with something on it."""
        import numpy as np
        side = TRIAL * self._pictures.multiple
        picture = np.full((side, side, 3), (150, 180, 220), np.uint8)
        picture[side // 2:] = np.linspace((90, 110, 60), (60, 70, 40), side - side // 2)[:, None]
        picture[side // 3:-side // 6, side // 3:-side // 3] = (160, 60, 50)
        image = Image.fromarray(picture)
        found = self._compute(image.resize(self._size(image)) if self._fixed else image)
        if np.ptp(found) <= LEAST_SPREAD * np.abs(found).max():
            raise ValueError('it finds everything equally far')


@contextlib.contextmanager
def _errors_of_the_library() -> Iterator[None]:
    """Raise the library's own exceptions, which have no class in common, as one."""
    from onnxruntime.capi import onnxruntime_pybind11_state as own
    try:
        yield
    except (own.EPFail, own.EngineError, own.Fail, own.InvalidArgument, own.InvalidGraph,
            own.InvalidProtobuf, own.NoModel, own.NoSuchFile, own.NotImplemented,
            own.RuntimeException) as error:
        raise RuntimeError(str(error)) from error
