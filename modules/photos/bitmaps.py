#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Windows bitmaps whose colours lie in bits of their own choice (4-4-4-4, 10-10-10-2 …), of which Pillow knows a few.

Libraries: numpy, Pillow.
"""

import struct
from typing import IO, Any

import numpy
from PIL import Image, ImageFile

#: bytes of the heads that can have masks, and where those stand from the head's beginning
HEADS, MASKS = (40, 52, 56, 108, 124), 40
#: compressions that say so, the latter with transparency
BY_MASKS = (3, 6)
#: pixels converted at once
BLOCK = 1 << 21


def is_bitmap(head: bytes) -> bool:
    """
    Recognise such a bitmap.

    :param head: the first 64 bytes
    :type head: bytes
    :return: whether :class:`MaskedBitmap` is for it
    :rtype: bool
    """
    if head[:2] != b'BM' or len(head) < 64:
        return False
    size, bits, compression = struct.unpack('<14xI8x2xHI30x', head)
    return size in HEADS and bits in (16, 32) and compression in BY_MASKS


class MaskedBitmap(ImageFile.ImageFile):
    """A bitmap, as Pillow's own plugins show theirs; it is decoded when it is loaded."""

    format = 'BMP'
    format_description = 'Windows bitmap with masks'

    #: set before a file is opened
    fp: IO[bytes]

    def _open(self) -> None:
        self.fp.seek(0)
        head = self.fp.read(70)
        start, size, width, height, bits, compression = struct.unpack('<10xIIii2xHI', head[:34])
        self._start, self._bits, self._is_upward = start, bits, height > 0
        self._size = width, abs(height)
        count = 4 if size >= 56 or compression == BY_MASKS[1] else 3
        masks = struct.unpack(f'<{count}I', head[14 + MASKS:14 + MASKS + 4 * count])
        self._masks = [mask & (2**bits - 1) for mask in masks if mask or len(masks) == 3]
        self._mode = 'RGBA' if len(self._masks) == 4 else 'RGB'
        if width <= 0 or not height or not all(self._masks) or len(self._masks) < 3:
            raise SyntaxError('a bitmap without a picture')
        # what stands for loading later; there is nothing that Pillow decodes
        self.tile = [ImageFile._Tile('raw', (0, 0, *self._size), start, self._mode)]

    def load(self) -> Any:
        if self.tile:
            self.im = Image.fromarray(self._pixels(), self._mode).im
            self.tile = []
        return super().load()

    def _pixels(self) -> numpy.ndarray:
        width, height = self._size
        stride = (width * self._bits + 31) // 32 * 4
        self.fp.seek(self._start)
        content = self.fp.read(stride * height)
        if len(content) < stride * height:
            raise OSError('a bitmap that breaks off')
        rows = numpy.frombuffer(content, numpy.uint8).reshape(height, stride)
        values = rows.view('<u2' if self._bits == 16 else '<u4')[:, :width]
        result = numpy.empty((height, width, len(self._masks)), numpy.uint8)
        step = max(1, BLOCK // width)
        for top in range(0, height, step):
            for channel, mask in enumerate(self._masks):
                lowest = mask & -mask
                level = (values[top:top + step] & mask) // lowest
                result[top:top + step, :, channel] = level * 255.0 / (mask // lowest) + 0.5
        return numpy.ascontiguousarray(result[::-1] if self._is_upward else result)
