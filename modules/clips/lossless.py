#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Keeps a clip's frames exactly as they are, so that any file can be made of them later: H.264 of RGB without any loss, in
Matroska. Where FFmpeg comes without x264, FFV1 keeps them as exactly, in more bytes. A clip may be larger than memory:
frames are written as they come, and read a group at a time.

Libraries: PyAV, because imageio cannot tell how many frames there are, and decodes a group again for each frame that is
read backwards; numpy.
"""

import itertools
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.video.reformatter import VideoReformatter

#: codec → its pixels, and what makes it exact. x264's slower presets take four times the processor, to write and to
#: read, and save a twentieth of the bytes
CODECS = {
    'libx264rgb': ('rgb24', {
        'qp': '0',
        'preset': 'ultrafast',
        '8x8dct': '1'
    }),
    'ffv1': ('bgr0', {}),
}
#: FFmpeg's names of what decodes these
DECODERS = ('h264', 'ffv1')
#: nothing here depends on time, but every container has one
RATE = Fraction(25)
#: frames from one that can be read by itself to the next
GROUP = 12
#: groups in memory: a crossfade reads at two places
MOST_GROUPS = 2


def write(frames: Iterable[np.ndarray], file: Path | BinaryIO, codec: str | None = None) -> None:
    """
    Keep frames.

    :param frames: uint8 [H, W, 3] each, at least one; H and W at least 2, and even
    :type frames: Iterable[np.ndarray]
    :param file: where to; replaced if there
    :type file: Path | BinaryIO
    :param codec: one of :data:`CODECS`; None takes the first there is
    :type codec: str | None
    """
    codec = codec or next(name for name in CODECS if name in av.codecs_available)
    form, options = CODECS[codec]
    reformatter = VideoReformatter()
    with av.open(file, 'w', 'matroska') as container:
        stream = container.add_stream(codec, RATE, options = options)
        stream.pix_fmt = form
        stream.gop_size = GROUP
        for number, pixels in enumerate(frames):
            if not number:
                stream.height, stream.width = pixels.shape[:2]
            picture = av.VideoFrame.from_ndarray(pixels, 'rgb24')
            picture = picture if form == 'rgb24' else reformatter.reformat(picture, format = form)
            picture.pts, picture.time_base = number, 1 / RATE
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


class KeptFrames:
    """
    Reads frames that were kept, in any order; to the bit what was written. To be closed after use.

    :param file: a file of :func:`write`
    :type file: Path | BinaryIO
    """

    def __init__(self, file: Path | BinaryIO):
        # FFmpeg would guess, and a file that is a playlist names others
        self._file = av.open(file, 'r', 'matroska')
        self._stream = self._file.streams.video[0]
        if self._stream.codec_context.name not in DECODERS:
            raise ValueError(f'frames kept as {self._stream.codec_context.name}')
        self._stream.thread_type = 'AUTO'
        # one for all frames: it takes longer to make than a small frame to convert
        self._reformatter = VideoReformatter()
        # the last packet is empty and has no time
        times = {
            packet.pts: packet.is_keyframe
            for packet in self._file.demux(self._stream) if packet.pts is not None
        }
        #: when each frame is shown, in the order of time
        self._times = sorted(times)
        #: the numbers of those that can be read without any other
        self._starts = [number for number, time in enumerate(self._times) if times[time]]
        #: uint8 [T, H, W, 3] each
        self._groups: OrderedDict[int, np.ndarray] = OrderedDict()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """How many frames there are, their height and width, and 3 for the colours."""
        return len(self._times), self._stream.height, self._stream.width, 3

    def __len__(self) -> int:
        return len(self._times)

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, number: int) -> np.ndarray:
        if not 0 <= number < len(self):
            raise IndexError(number)
        group = bisect_right(self._starts, number) - 1
        if group not in self._groups:
            while len(self._groups) >= MOST_GROUPS:
                self._groups.popitem(last = False)
            self._groups[group] = self._read(group)
        self._groups.move_to_end(group)
        return self._groups[group][number - self._starts[group]]

    def __enter__(self) -> 'KeptFrames':
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def _read(self, group: int) -> np.ndarray:
        """Decode from one frame that can be read by itself to the next."""
        first, *later = self._starts[group:]
        count = (later[0] if later else len(self)) - first
        self._file.seek(self._times[first], stream = self._stream)
        # no packet of the next group, which several threads would begin to decode in vain
        packets = itertools.islice(self._file.demux(self._stream), count)
        decode = self._stream.codec_context.decode
        pictures = itertools.chain(*map(decode, packets), decode())
        # one piece of memory for all: single frames would lie between an encoder's own, and leave gaps when they go
        frames = np.empty((count, *self.shape[1:]), np.uint8)
        for frame, picture in zip(frames, pictures, strict = True):
            frame[:] = self._reformatter.reformat(picture, format = 'rgb24').to_ndarray()
        return frames
