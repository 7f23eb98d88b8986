#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Writes a clip as an MP4 that every phone and browser plays: H.264 High, 4:2:0, colours converted and tagged as BT.709.

Libraries: PyAV, because imageio cannot tag colours, nor set the timescale that makes every frame equally long.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from modules.encoders import Clip
from modules.encoders.containers import xmp
from modules.i18n import Text, text

#: ticks a frame lasts
TICKS = 100
#: ``crf`` 18 hardly differs from the source; with ``mbtree`` x264 reads memory it has not written, so that a clip would
#: not be the same file every time
ENCODER = {'crf': '18', 'preset': 'fast', 'profile': 'high', 'mbtree': '0'}

#: what phones decode (H.264 level 5.2): pixels of a side, blocks of 16 × 16 in a picture and in a second
LONGEST_SIDE, MOST_BLOCKS, MOST_BLOCKS_A_SECOND = 4096, 36864, 2073600
#: the box that holds XMP (XMP Specification Part 3)
XMP_BOX = bytes.fromhex('be7acfcb97a942e89c71999491e3afac')


@dataclass(frozen = True)
class Container:
    """What holds the stream, and how it is written."""

    #: FFmpeg's name of it
    name: str
    #: options of the container
    muxer: Mapping[str, str] = field(default_factory = dict)
    #: options of x264 besides :data:`ENCODER`
    encoder: Mapping[str, str] = field(default_factory = dict)


MP4 = Container('mp4', muxer = {'movflags': 'faststart'})
#: without B-frames the first frame is shown at time 0 without any correction
MOV = Container('mov', encoder = {'bf': '0'})


def encode(clip: Clip, path: Path) -> Text | None:
    """
    Write an MP4 that plays before all of it has arrived.

    :param clip: the clip
    :type clip: Clip
    :param path: where to; replaced if there
    :type path: Path
    :return: what was given up
    :rtype: Text | None
    """
    given_up = write(clip, path, MP4, {'comment': clip.settings} if clip.settings else {})
    if clip.is_generated:
        content = XMP_BOX + xmp.make_source_packet(xmp.GENERATED)
        with path.open('ab') as file:
            file.write(struct.pack('>I4s', 8 + len(content), b'uuid') + content)
    return given_up


def write(clip: Clip, path: Path, container: Container, tags: Mapping[str, str]) -> Text | None:
    """
    Write the one H.264 stream of a clip.

    :param clip: the clip
    :type clip: Clip
    :param path: where to; replaced if there
    :type path: Path
    :param container: what holds it
    :type container: Container
    :param tags: metadata of the file, by FFmpeg's names
    :type tags: Mapping[str, str]
    :return: what was given up
    :rtype: Text | None
    """
    height, width = clip.frames.shape[1:3]
    size = fit_size((width, height), clip.fps)
    rate = Fraction(clip.fps).limit_denominator(1000)
    ticks = str(TICKS * rate.numerator)
    clock = {'movie_timescale': ticks, 'video_track_timescale': ticks}
    options = {**clock, **container.muxer}
    with av.open(path, 'w', container.name, container_options = options) as file:
        file.metadata.update(tags)
        stream = file.add_stream('libx264', rate, options = {**ENCODER, **container.encoder})
        stream.width, stream.height = size
        stream.pix_fmt = 'yuv420p'
        _tag(stream.codec_context)
        # a frame's own one would be made anew for every frame, which takes longer than its work where frames are small
        reformatter = VideoReformatter()
        for number, pixels in enumerate(clip.frames):
            picture = reformatter.reformat(
                av.VideoFrame.from_ndarray(pixels, 'rgb24'),
                *size,
                format = 'yuv420p',
                dst_colorspace = Colorspace.ITU709,
                dst_color_range = ColorRange.MPEG)
            picture.pts, picture.time_base = number, 1 / rate
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    if size == (width, height):
        return None
    made, asked = (f'{wide} × {high}' for wide, high in (size, (width, height)))
    return text('notes.video_smaller', size = made, asked = asked)


def fit_size(size: tuple[int, int], fps: float) -> tuple[int, int]:
    """
    Find the largest size of a video that phones decode.

    :param size: width and height of the clip, even
    :type size: tuple[int, int]
    :param fps: frames a second
    :type fps: float
    :return: the same, or a smaller one of the same shape, even
    :rtype: tuple[int, int]
    """
    most = min(MOST_BLOCKS, MOST_BLOCKS_A_SECOND / fps)
    scale = min(1.0, LONGEST_SIDE / max(size))
    while True:
        width, height = (max(2, 2 * round(side * scale / 2)) for side in size)
        blocks = math.ceil(width / 16) * math.ceil(height / 16)
        if blocks <= most or min(width, height) <= 2:
            return width, height
        # a little more than what is too much, because sides are rounded up to blocks
        scale *= min(0.998, math.sqrt(most / blocks))


def _tag(context: av.VideoCodecContext) -> None:
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    context.colorspace = Colorspace.ITU709
    context.color_range = ColorRange.MPEG
