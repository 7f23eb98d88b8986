#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Writes a clip as a GIF that loops for ever and lasts as long as the clip, to a hundredth of a second.

The container is written here (GIF89a, CompuServe 1990); Pillow compresses the pictures in it.

Libraries: Pillow, numpy, OpenCV.
"""

import math
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from modules.encoders import Clip
from modules.encoders.containers import xmp
from modules.encoders.frames import Frames, LazyFrames, pick_frames
from modules.encoders.gif import palette
from modules.encoders.gif.frames import TRANSPARENT, Mapped, Patch, make_patch, map_frame
from modules.encoders.gif.palette import Mapper
from modules.i18n import Text, text

#: entries of a palette; one more means transparent
MOST_COLOURS = 255
#: browsers play a shorter delay as a tenth of a second
LEAST_DELAY = 2
#: colours tried, in this order, to make a GIF smaller; then the size down to this part; then fewer frames
FEWER_COLOURS, LEAST_SCALE = (128, 64), 0.5
#: frames from which the palette is made
SAMPLES = 6
#: frames that are mapped at a time, beside the one that is written
WORKERS = 2
#: what stays on show may be further from a pixel than the nearest colour by this part of the palette's mean error
TOLERANCE = 1.0
#: how many times more colours than one frame the clip may have before each frame gets its own palette
FOREIGN = 3

LOOP_FOR_EVER = b'!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00'
#: XMP in a GIF (XMP Specification Part 3); its trailer leads readers that know nothing of XMP to the end of it,
#: wherever in the packet they look for a length
XMP_HEAD, XMP_TRAILER = b'!\xff\x0bXMP DataXMP', bytes([1, *range(255, -1, -1), 0])


def _plan_delays(count: int, fps: float) -> list[tuple[int, int]]:
    """
    Choose which frames are shown and how long, so that the total is right although a GIF counts in hundredths of a
    second: pairs of a frame's number and its delay in those. Above 50 frames a second some are left out.
    """
    total = max(LEAST_DELAY, round(100 * count / fps))
    shown = min(count, total // LEAST_DELAY)
    starts = [i * total // shown for i in range(shown + 1)]
    return [(i * count // shown, starts[i + 1] - starts[i]) for i in range(shown)]


def encode(clip: Clip, path: Path) -> Text | None:
    """
    Write a GIF that is no larger than the clip allows: with fewer colours, then fewer pixels, then fewer frames. One
    frame of the least size is written whatever its size.

    :param clip: the clip
    :type clip: Clip
    :param path: where to; replaced if there
    :type path: Path
    :return: what was given up for its size, or None
    :rtype: Text | None
    """
    data, note = to_bytes(clip, MOST_COLOURS), None
    for colours, smaller in _reductions(clip):
        if not clip.max_bytes or len(data) <= clip.max_bytes:
            break
        data = to_bytes(smaller, colours)
        count, height, width, _ = smaller.frames.shape
        note = text(
            'encoders.gif_reduced',
            colours = colours,
            width = width,
            height = height,
            frames = count)
    path.write_bytes(data)
    return note


def _reductions(clip: Clip) -> Iterator[tuple[int, Clip]]:
    """Numbers of colours with clips that make ever smaller files."""
    for colours in FEWER_COLOURS:
        yield colours, clip
    height, width = clip.frames.shape[1:3]
    frames = clip.frames
    for step in range(1, 5):
        scale = LEAST_SCALE**(step / 4)
        size = max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))
        frames = _resized(clip.frames, size)
        yield FEWER_COLOURS[-1], replace(clip, frames = frames)
    while len(frames) > 1:
        count = math.ceil(len(frames) * 2 / 3) if len(frames) > 2 else 1
        frames = pick_frames(frames, [number * len(frames) // count for number in range(count)])
        fps = clip.fps * count / len(clip.frames)
        yield FEWER_COLOURS[-1], replace(clip, frames = frames, fps = fps)


def _resized(frames: Frames, size: tuple[int, int]) -> Frames:
    width, height = size
    return LazyFrames(
        (len(frames), height, width, 3),
        lambda number: cv2.resize(frames[number], size, interpolation = cv2.INTER_AREA))


def to_bytes(clip: Clip, colours: int) -> bytes:
    """
    Make a GIF.

    :param clip: the clip
    :type clip: Clip
    :param colours: most colours a frame may have, 2–255; one more means transparent
    :type colours: int
    :return: the file
    :rtype: bytes
    """
    numbers, delays = zip(*_plan_delays(len(clip.frames), clip.fps), strict = True)
    frames = pick_frames(clip.frames, numbers)
    common = _common_mapper(frames, colours)
    height, width = frames.shape[1:3]
    parts = [b'GIF89a', struct.pack('<HHBBB', width, height, 0xF7 if common else 0x70, 0, 0)]
    parts += [_colour_table(common), LOOP_FOR_EVER] if common else [LOOP_FOR_EVER]
    parts.append(_comment(clip.settings) if clip.settings else b'')
    shown = None
    for mapped, delay in zip(_mapped(frames, common, colours), delays, strict = True):
        part, shown = make_patch(mapped, shown if common else None)
        parts.append(_picture(part, delay, None if common else mapped.mapper))
    if clip.is_generated:
        parts += [XMP_HEAD, xmp.make_source_packet(xmp.GENERATED), XMP_TRAILER]
    return b''.join([*parts, b';'])


def _mapped(frames: Frames, common: Mapper | None, colours: int) -> Iterator[Mapped]:
    """The frames in terms of the common palette, or each in terms of its own; a few are made ahead of their use."""

    def work(frame: np.ndarray) -> Mapped:
        mapper = common or _mapper(_histogram([frame], palette.FINE), colours)
        return map_frame(frame, mapper)

    with ThreadPoolExecutor(WORKERS) as pool:
        waiting: deque[Future[Mapped]] = deque()
        for frame in frames:
            waiting.append(pool.submit(work, frame))
            if len(waiting) > WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _common_mapper(frames: Frames, colours: int) -> Mapper | None:
    """One palette for all frames, which keeps still things still; None where frames have few colours in common."""
    samples = range(0, len(frames), -(-len(frames) // SAMPLES))
    of_all = _histogram([frames[number] for number in samples], palette.COARSE)
    of_one = _histogram([frames[len(frames) // 2]], palette.COARSE)
    return _mapper(of_all, colours) if len(of_all[0]) < FOREIGN * len(of_one[0]) else None


def _mapper(cells: tuple[np.ndarray, np.ndarray], colours: int) -> Mapper:
    chosen = palette.choose_colours(*cells, colours)
    return Mapper(chosen, round(TOLERANCE * math.sqrt(palette.measure_error(chosen, *cells) / 3)))


def _histogram(frames: Sequence[np.ndarray], bits: int) -> tuple[np.ndarray, np.ndarray]:
    return palette.count_colours(np.stack([frame[::2, ::2] for frame in frames]), bits)


def _comment(settings: str) -> bytes:
    """After the loop, which some players look for at one place only."""
    content = settings.encode()
    blocks = [content[start:start + 255] for start in range(0, len(content), 255)]
    return b'!\xfe' + b''.join(bytes([len(block)]) + block for block in blocks) + b'\0'


def _colour_table(mapper: Mapper) -> bytes:
    return (bytes(3) + mapper.palette.astype(np.uint8).tobytes()).ljust(3 * 256, b'\0')


def _picture(part: Patch, delay: int, mapper: Mapper | None) -> bytes:
    """A picture with its delay, drawn over the one before; with a colour table of its own if a mapper is given."""
    height, width = part.entries.shape
    image = Image.frombuffer('P', (width, height), np.ascontiguousarray(part.entries))
    return b''.join([
        b'!\xf9\x04',
        struct.pack('<BHBB', 1 << 2 | 1, delay, TRANSPARENT, 0), b',',
        struct.pack('<HHHHB', part.left, part.top, width, height, 0x87 if mapper else 0),
        _colour_table(mapper) if mapper else b'', b'\x08',
        image.tobytes('gif', 'P', 8, 0), b'\0'
    ])
