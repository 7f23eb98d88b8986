#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Writes a clip as an animated WebP that loops for ever: a fraction of a GIF's bytes, in all its colours.

Libraries: imageio with its Pillow plugin.
"""

from pathlib import Path

import imageio.v3 as imageio

from modules.encoders import Clip
from modules.encoders.containers import jpeg, xmp

#: of libwebp: 0–100, and 0–6 from fast to small
QUALITY, EFFORT = 80, 2


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
    # on a full disk imageio would write once more, where errors are lost
    content = imageio.imwrite(
        '<bytes>',
        clip.frames,
        extension = '.webp',
        plugin = 'pillow',
        loop = 0,
        quality = QUALITY,
        method = EFFORT,
        exif = jpeg.make_comment(clip.settings) if clip.settings else b'',
        xmp = xmp.make_source_packet(xmp.GENERATED) if clip.is_generated else b'',
        duration = [end - start for start, end in zip(starts, starts[1:], strict = False)])
    path.write_bytes(content)
