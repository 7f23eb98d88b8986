#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Writes a clip as a Motion Photo for Android phones (Google's format 1.0): one JPEG, whose XMP says that an MP4
follows it, and nothing after that.

Libraries: PyAV (through ``mp4``), Pillow (through ``jpeg``).
"""

import tempfile
from dataclasses import replace
from pathlib import Path

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
    :return: what was given up
    :rtype: Text | None
    :raises modules.encoders.UnknownLayout: when the still cannot be completed
    """
    with tempfile.TemporaryDirectory(dir = path.parent) as scratch:
        # XMP of the whole file says already that a model made up the motion
        movie_clip = replace(clip, is_generated = False)
        given_up = mp4.encode(movie_clip, Path(scratch) / 'clip.mp4')
        movie = (Path(scratch) / 'clip.mp4').read_bytes()
    still = clip.still()
    packet = xmp.make_motion_packet(
        len(movie), round(1e6 * clip.key_index / clip.fps),
        xmp.COMPOSITE if clip.is_generated else None)
    tiff = jpeg.make_exif(still, created = clip.created, comment = clip.settings)
    with path.open('wb') as file:
        file.writelines([*jpeg.embed_metadata(still, tiff, packet), movie])
    return given_up
