#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Writes a clip as a Motion Photo for Android phones (Google's format 1.0): one JPEG, whose XMP tells that an MP4
follows it, and nothing after that.

Libraries: PyAV (through ``mp4``), Pillow (through ``jpeg``).
"""

import tempfile
from pathlib import Path

from modules.clips import settings
from modules.encoders import Clip, mp4
from modules.encoders.containers import jpeg, xmp
from modules.i18n import Text


def encode(clip: Clip, path: Path) -> Text | None:
    """
    Write a Motion Photo.

    :param clip: the clip
    :type clip: Clip
    :param path: where to; replaced if there
    :type path: Path
    :return: what had to be given up
    :rtype: Text | None
    :raises modules.encoders.UnknownLayout: when the still cannot be completed
    """
    with tempfile.TemporaryDirectory(dir = path.parent) as room:
        given_up = mp4.encode(clip, Path(room) / 'clip.mp4')
        movie = (Path(room) / 'clip.mp4').read_bytes()
    still = clip.still()
    packet = xmp.motion_photo(
        len(movie), round(1e6 * clip.key_index / clip.fps),
        xmp.COMPOSITE if clip.is_generated else None)
    words = settings.to_text(clip.settings) if clip.settings else None
    tiff = jpeg.exif(still, created = clip.created, words = words)
    with path.open('wb') as file:
        file.writelines([*jpeg.parts(still, tiff, packet), movie])
    return given_up
