#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Tells, inside a finished file without a still, that a model made it up: XMP with IPTC's Digital Source Type, at the
places the XMP Specification Part 3 (Adobe, 2020) names for each kind of file. The pictures stay as they are.

Libraries: none.
"""

import struct
from pathlib import Path

from modules.encoders import UnknownLayout
from modules.encoders.containers import xmp

GIF_HEAD = b'!\xff\x0bXMP DataXMP'
#: leads readers that know nothing of XMP to the end of it, wherever in the packet they look for a length
GIF_TRAILER = bytes([1, *range(255, -1, -1), 0])
#: bytes the mark adds to a GIF
IN_GIF = len(GIF_HEAD) + len(xmp.source(xmp.GENERATED)) + len(GIF_TRAILER)
#: the box that holds a packet
MP4_BOX = bytes.fromhex('be7acfcb97a942e89c71999491e3afac')
#: in the flags of a WebP
WEBP_HAS_XMP = 4


def mark(path: Path, size: tuple[int, int]) -> None:
    """
    Put the mark into a file.

    :param path: a GIF, MP4 or WebP; replaced
    :type path: Path
    :param size: its width and height
    :type size: tuple[int, int]
    :raises UnknownLayout: when it is none of these
    """
    data, packet = path.read_bytes(), xmp.source(xmp.GENERATED)
    if data[:6] == b'GIF89a' and data[-1:] == b';':
        marked = data[:-1] + GIF_HEAD + packet + GIF_TRAILER + b';'
    elif data[4:8] == b'ftyp':
        marked = data + struct.pack('>I', 8 + len(MP4_BOX + packet)) + b'uuid' + MP4_BOX + packet
    elif data[:4] == b'RIFF' and data[8:12] == b'WEBP':
        marked = _in_webp(data[12:], size, packet)
    else:
        raise UnknownLayout(f'a file that begins with {data[:12]!r}')
    path.write_bytes(marked)


def _in_webp(chunks: bytes, size: tuple[int, int], packet: bytes) -> bytes:
    """The file anew; a still WebP first gets the head that may say what else is in it."""
    if not chunks.startswith(b'VP8X'):
        sides = b''.join((side - 1).to_bytes(3, 'little') for side in size)
        chunks = b'VP8X' + struct.pack('<IB3x', 10, 0) + sides + chunks
    chunks = chunks[:8] + bytes([chunks[8] | WEBP_HAS_XMP]) + chunks[9:]
    chunks += b'XMP ' + struct.pack('<I', len(packet)) + packet + b'\0' * (len(packet) % 2)
    return b'RIFF' + struct.pack('<I', 4 + len(chunks)) + b'WEBP' + chunks
