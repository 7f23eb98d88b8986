#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Reads frames that a worker of the fleet has kept. The worker may have been taken over, so FFmpeg opens its file where
strangers' pictures are opened: in a process of its own, which gives one frame after the other.

Libraries: numpy.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from modules.choices import MOST_SECONDS
from modules.clips import lossless
from modules.encoders.frames import LazyFrames
from modules.photos.sandbox import process_limits
from modules.photos.sandbox.child import Child

if TYPE_CHECKING:
    from modules.photos.sandbox.calls import Found
    from modules.photos.sandbox.sandbox import Sandbox

#: frames that a clip may have, at the highest ``OutputFPS``
MOST_FRAMES = MOST_SECONDS * 60
#: seconds of processor time for one call, in which a whole group is decoded
SECONDS = 60

#: in the process, what it reads
_opened: list[lossless.KeptFrames] = []


def prepare() -> None:
    """Keep and read a frame, for which PyAV loads parts of itself: later, no file can be opened."""
    kept = io.BytesIO()
    lossless.write([np.zeros((2, 2, 3), np.uint8)], kept)
    list(lossless.KeptFrames(io.BytesIO(kept.getvalue())))


def open_file(content: BinaryIO) -> 'Found':
    """
    Open kept frames, in the process.

    :param content: a file of :func:`modules.clips.lossless.write`
    :type content: BinaryIO
    :return: the shape of the frames
    :rtype: Found
    """
    _opened.append(lossless.KeptFrames(content))
    return {'shape': _opened[0].shape}, b''


def read_frame(_content: BinaryIO, number: int) -> 'Found':
    """
    Decode a frame of the file that was opened, in the process.

    :param _content: nothing
    :type _content: BinaryIO
    :param number: which one
    :type number: int
    :return: its pixels
    :rtype: Found
    """
    process_limits.limit_time(SECONDS)
    return {}, _opened[0][number].tobytes()


@contextlib.contextmanager
def open_frames(sandbox: 'Sandbox', path: Path) -> Iterator[LazyFrames]:
    """
    Open kept frames in a process, which ends with the context.

    :param sandbox: whose limits the process has
    :type sandbox: Sandbox
    :param path: a file of :func:`modules.clips.lossless.write`
    :type path: Path
    :yield: the frames, each read when it is needed
    :ytype: LazyFrames
    :raises ValueError: when no frames can be of the shape that the process answers
    :raises modules.photos.sandbox.child.Broken: when the file broke the process
    """
    child = Child(sandbox.memory + path.stat().st_size, sandbox.max_answer, [__name__])
    try:
        found, _content = child.call(sandbox.timeout, open_file, path, ())
        count, height, width, _colours = shape = tuple(map(int, found['found']['shape']))
        if not (0 < count <= MOST_FRAMES and height > 0 < width):
            raise ValueError(f'no frames: {shape}')

        def read(number: int) -> np.ndarray:
            _found, content = child.call(sandbox.timeout, read_frame, None, (number, ))
            return np.frombuffer(content, np.uint8).reshape(height, width, 3)

        yield LazyFrames((count, height, width, 3), read)
    finally:
        child.end()
