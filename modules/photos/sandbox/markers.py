#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How much work a picture makes beside its pixels, counted before a decoder sees it: thousands of scans, segments or
chunks with next to nothing in them keep decoders busy for minutes.

Libraries: none but the standard one.
"""

import re
import struct

#: scans of a JPEG: cameras make one, encoders about ten, the most careful ones some twenty; with each, a decoder goes
#: through all of the picture
MOST_SCANS = 64
#: pixels that all scans together may go through, unless they are as few as any encoder makes
MOST_SCANNED, FEW_SCANS = 2_000_000_000, 12
#: segments of a JPEG, chunks of a PNG: a colour profile, a depth map or a second picture in EXIF and XMP come in pieces
#: of 64 KB, of which the largest upload has some five hundred
MOST_SEGMENTS = 4096
#: bytes between segments; cameras fill up a few
MOST_FILLING = 1 << 20
#: bytes of a chunk of a PNG that are its own, on average; encoders make them of 8 KB
LEAST_OF_A_CHUNK = 512

JPEG, PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
MARK = re.compile(rb'\xff[^\x00\xff]')
#: within the data of a scan, marks of restarts are a part of it
END_OF_DATA = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]')
#: markers without a length
BARE = (0x01, *range(0xd0, 0xd9))
START_OF_SCAN, END_OF_IMAGE = 0xda, 0xd9
#: markers of segments that hold the size
SIZES = frozenset(range(0xc0, 0xd0)) - {0xc4, 0xc8, 0xcc}


def is_laborious(data: bytes) -> bool:
    """
    Whether a picture makes more work than any honest one.

    :param data: the file
    :type data: bytes
    :return: whether to leave it alone
    :rtype: bool
    """
    if data.startswith(JPEG):
        return _is_laborious_jpeg(data)
    return data.startswith(PNG) and _is_laborious_png(data)


def _is_laborious_jpeg(data: bytes) -> bool:
    position, segments, scans, filling = len(JPEG), 0, 0, 0
    most_scans = MOST_SCANS
    while mark := MARK.search(data, position):
        filling += mark.start() - position
        segments += 1
        if segments > MOST_SEGMENTS or filling > MOST_FILLING:
            return True
        marker, position = data[mark.start() + 1], mark.end()
        if marker == END_OF_IMAGE:
            return False
        if marker in BARE:
            continue
        if marker in SIZES:
            most_scans = _most_scans(data[position + 3:position + 7])
        position += int.from_bytes(data[position:position + 2], 'big')
        if marker == START_OF_SCAN:
            scans += 1
            end = END_OF_DATA.search(data, position)
            if scans > most_scans or not end:
                return scans > most_scans
            position = end.start()
    return len(data) - position > MOST_FILLING


def _most_scans(size: bytes) -> int:
    """Of a picture whose height and width are these."""
    pixels = int.from_bytes(size[:2], 'big') * int.from_bytes(size[2:], 'big')
    return min(MOST_SCANS, max(FEW_SCANS, MOST_SCANNED // max(1, pixels)))


def _is_laborious_png(data: bytes) -> bool:
    position = len(PNG)
    chunks = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from('>I4s', data, position)
        position += 12 + size
        chunks += 1
        if chunks > MOST_SEGMENTS and position // chunks < LEAST_OF_A_CHUNK:
            return True
        if kind == b'IEND':
            break
    return False
