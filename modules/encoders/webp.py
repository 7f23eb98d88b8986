#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Writes a clip as an animated WebP that loops for ever: a fraction of a GIF's bytes, in all its colours.

Libraries: Pillow, because imageio wants all frames at once.
"""

import io
from pathlib import Path

from PIL import Image

from modules.encoders import Clip
from modules.encoders.containers import jpeg, xmp
from modules.encoders.frames import Frames

#: of libwebp: 0–100, and 0–6 from fast to small
QUALITY, EFFORT = 80, 2


class Animation(Image.Image):
    """
    Frames as Pillow reads an animation: one is there at a time.

    :param frames: the frames
    :type frames: Frames
    """

    def __init__(self, frames: Frames):
        super().__init__()
        _count, height, width, _colours = frames.shape
        vars(self).update(vars(Image.new('RGB', (width, height))))
        self._frames = frames
        self.n_frames = len(frames)
        self.seek(0)

    def seek(self, frame: int) -> None:
        self.paste(Image.fromarray(self._frames[frame]))


def encode(clip: Clip, path: Path) -> None:
    """
    Write an animated WebP.

    :param clip: the clip
    :type clip: Clip
    :param path: where to; replaced if there
    :type path: Path
    """
    count = len(clip.frames)
    starts = [round(1000 * number / clip.fps) for number in range(count + 1)]
    content = io.BytesIO()
    Animation(clip.frames).save(
        content,
        'WEBP',
        save_all = True,
        loop = 0,
        quality = QUALITY,
        method = EFFORT,
        exif = jpeg.make_comment(clip.settings) if clip.settings else b'',
        xmp = xmp.make_source_packet(xmp.GENERATED) if clip.is_generated else b'',
        duration = [end - start for start, end in zip(starts, starts[1:], strict = False)])
    path.write_bytes(content.getbuffer())
