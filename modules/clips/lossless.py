#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Keeps a clip's frames exactly as they are, so that any file can be made of them later: H.264 of RGB without any loss, in
Matroska. Where FFmpeg comes without x264, FFV1 keeps them as exactly, in more bytes.

Libraries: PyAV, because imageio does not give frames back in the form they were kept in; numpy.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

#: codec → its pixels, and what makes it exact. x264's faster presets save little time and cost a fifth more bytes, its
#: slower ones take twice the time for a twentieth less
CODECS = {
    'libx264rgb': ('rgb24', {
        'qp': '0',
        'preset': 'faster'
    }),
    'ffv1': ('bgr0', {}),
}
#: nothing here depends on time, but every container has one
RATE = Fraction(25)


def write(frames: np.ndarray, path: Path, codec: str | None = None) -> None:
    """
    Keep frames.

    :param frames: uint8 [T, H, W, 3], T at least 1; H and W at least 2, and even
    :type frames: np.ndarray
    :param path: where to; replaced if there
    :type path: Path
    :param codec: one of :data:`CODECS`; None takes the first there is
    :type codec: str | None
    """
    codec = codec or next(name for name in CODECS if name in av.codecs_available)
    form, options = CODECS[codec]
    with av.open(path, 'w', 'matroska') as file:
        stream = file.add_stream(codec, RATE, options = options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = form
        for number, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(pixels, 'rgb24')
            picture = picture if form == 'rgb24' else picture.reformat(format = form)
            picture.pts, picture.time_base = number, 1 / RATE
            file.mux(stream.encode(picture))
        file.mux(stream.encode())


def read(path: Path) -> np.ndarray:
    """
    Read frames that were kept.

    :param path: a file of :func:`write`
    :type path: Path
    :return: uint8 [T, H, W, 3], to the bit what was written
    :rtype: np.ndarray
    """
    with av.open(path) as file:
        file.streams.video[0].thread_type = 'AUTO'
        return np.stack(
            [picture.to_ndarray(format = 'rgb24') for picture in file.decode(video = 0)])
