#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Writes a clip as an MP4 that every phone and browser plays: H.264 High, 4:2:0, colours converted and tagged as BT.709.

Libraries: PyAV, because imageio cannot tag colours, nor set the timescale that makes every frame equally long.
"""

from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from modules.encoders import Clip, settings

#: ticks a frame lasts
TICKS = 100
#: x264's own measure; 18 is hardly told from the source
#: its macroblock tree reads memory it has not written, so that a clip would not be the same file every time
ENCODER = {'crf': '18', 'preset': 'medium', 'profile': 'high', 'mbtree': '0'}


def encode(clip: Clip, path: Path) -> None:
    """
    Write an MP4 that plays before all of it has arrived.

    :param clip: the clip
    :type clip: Clip
    :param path: where to; replaced if there
    :type path: Path
    """
    write(
        clip,
        path,
        'mp4',
        muxer = {'movflags': 'faststart'},
        encoder = {},
        tags = {'comment': settings.to_text(clip.settings)} if clip.settings else {})


def write(clip: Clip,
          path: Path,
          container: str,
          *,
          muxer: dict[str, str],
          encoder: dict[str, str],
          tags: dict[str, str] | None = None) -> None:
    """
    Write the one H.264 stream of a clip.

    :param clip: the clip
    :type clip: Clip
    :param path: where to; replaced if there
    :type path: Path
    :param container: FFmpeg's name of it: ``mp4`` or ``mov``
    :type container: str
    :param muxer: options of the container
    :type muxer: dict[str, str]
    :param encoder: options of x264 besides :data:`ENCODER`
    :type encoder: dict[str, str]
    :param tags: what is told beside the pictures, by FFmpeg's names
    :type tags: dict[str, str] | None
    """
    rate = Fraction(clip.fps).limit_denominator(1000)
    ticks = str(TICKS * rate.numerator)
    clock = {'movie_timescale': ticks, 'video_track_timescale': ticks}
    with av.open(path, 'w', container, container_options = {**clock, **muxer}) as file:
        file.metadata.update(tags or {})
        stream = file.add_stream('libx264', rate, options = {**ENCODER, **encoder})
        stream.height, stream.width = clip.frames.shape[1:3]
        stream.pix_fmt = 'yuv420p'
        _tag(stream.codec_context)
        for number, pixels in enumerate(clip.frames):
            picture = av.VideoFrame.from_ndarray(pixels, 'rgb24').reformat(
                format = 'yuv420p',
                dst_colorspace = Colorspace.ITU709,
                dst_color_range = ColorRange.MPEG)
            picture.pts, picture.time_base = number, 1 / rate
            file.mux(stream.encode(picture))
        file.mux(stream.encode())


def _tag(context: av.VideoCodecContext) -> None:
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    context.colorspace = Colorspace.ITU709
    context.color_range = ColorRange.MPEG
