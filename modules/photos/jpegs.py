#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
JPEGs without their end mark, as some cameras leave them, with or without something behind: read where nothing but the
mark is missing, refused where a part of the picture is.

Libraries: PyAV, whose JPEG decoder can be strict.
"""

import contextlib
import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import av

#: a mark that does not belong into the data of a scan
MARK = re.compile(rb'\xff[^\x00\xd0-\xd7\xff]')
START, END = b'\xff\xd8', b'\xff\xd9'
START_OF_SCAN, END_OF_IMAGE = 0xda, 0xd9
#: what heads a picture; C4, C8 and CC are something else
FRAMES = frozenset(range(0xc0, 0xd0)) - {0xc4, 0xc8, 0xcc}
#: those that can only be decoded at full size
LOSSLESS = (0xc3, 0xc7, 0xcb, 0xcf)
PROGRESSIVE = (0xc2, 0xc6, 0xca, 0xce)
#: marks without a length
BARE = (0x01, *range(0xd0, 0xd9))
#: what phones put behind a picture: Samsung's blocks (type, length of the name, name), a movie
TRAILER = re.compile(rb'\0\0..[\4-\x40]\0\0\0[A-Z][A-Za-z]+_|\0\0\0.ftyp', re.DOTALL)
#: what looks like text, or like zeros; pictures of one colour do as well
FILLING = re.compile(rb'([\t\n\r -~]{64})|\0{64}')
#: bytes of a picture that may look like the text behind it
OVERLAP = 8
#: two continuations that have no bit in common
CONTINUATIONS = (b'\x55' * 64, b'\xaa' * 64)

#: bytes that the end of a picture cannot spare
LAST = 2


class Incomplete(OSError):
    """A part of the picture is missing."""


def complete(data: bytes) -> bytes | None:
    """
    Give a JPEG the end mark that it lacks.

    :param data: the file
    :type data: bytes
    :return: the picture alone, with an end mark; None where it has one, or where this is no such file
    :rtype: bytes | None
    :raises Incomplete: when more than the mark is missing
    """
    scans = _Scans()
    try:
        end = _end_without_mark(data, scans)
    except (IndexError, ValueError, struct.error):
        end = None
    if end is None and scans.count and not scans.has_end:
        raise Incomplete('scans are missing')
    if end is None:
        return None
    for picture in (data[:each] for each in _ends(data, end)):
        if _is_whole(picture):
            return picture + END
    raise Incomplete('the data of the picture end too early')


def find_kind(data: bytes) -> tuple[int, int]:
    """
    Find of which kind a JPEG is.

    :param data: the file
    :type data: bytes
    :return: the mark at the head of its picture, and bits a sample; zeros where there is none
    :rtype: tuple[int, int]
    """
    with contextlib.suppress(IndexError, struct.error):
        for marker, head, _end in _segments(data):
            if marker in FRAMES:
                return marker, head[0]
            if marker == START_OF_SCAN:
                break
    return 0, 0


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Marks one after the other, each with what follows its length and where it ends, a scan with its data."""
    position = len(START)
    while data[position] == 0xff:
        marker = data[position + 1]
        if marker == 0xff or marker in BARE:
            position += 1 if marker == 0xff else 2
            continue
        if marker == END_OF_IMAGE:
            yield marker, b'', position
            return
        start = position + 4
        position += 2 + struct.unpack_from('>H', data, position + 2)[0]
        head = data[start:position]
        if marker == START_OF_SCAN:
            mark = MARK.search(data, position)
            position = mark.start() if mark else len(data)
        yield marker, head, position


@dataclass
class _Scans:
    """What is still to come of a picture: component → its coefficients that are not there with their last bit."""

    #: how many have come, and whether the end mark has
    count: int = 0
    has_end: bool = False
    #: the mark at the head of the picture
    marker: int = 0
    missing: dict[int, set[int]] = field(default_factory = dict)

    def begin(self, marker: int, head: bytes) -> None:
        """
        Read the head of a picture.

        :param marker: its kind
        :type marker: int
        :param head: what follows the length
        :type head: bytes
        """
        self.marker = marker
        self.missing = {head[6 + 3 * number]: set(range(64)) for number in range(head[5])}

    def add(self, head: bytes) -> bool:
        """
        Read the head of a scan.

        :param head: what follows the length
        :type head: bytes
        :return: whether the picture is complete with it
        :rtype: bool
        """
        self.count += 1
        count = head[0]
        first, last, bits = head[1 + 2 * count:4 + 2 * count]
        for component in head[1:1 + 2 * count:2]:
            if self.marker not in PROGRESSIVE:
                self.missing.pop(component, None)
            elif bits & 15 == 0 and component in self.missing:
                self.missing[component] -= set(range(first, last + 1))
        return not any(self.missing.values())


def _end_without_mark(data: bytes, scans: _Scans) -> int | None:
    """Where the data of the last scan end at the latest, if something else than the end mark follows."""
    for marker, head, end in _segments(data):
        if marker == END_OF_IMAGE:
            scans.has_end = True
        elif marker in FRAMES:
            scans.begin(marker, head)
        elif marker == START_OF_SCAN and scans.add(head):
            scans.has_end = data[end:end + 2] == END
            return None if scans.has_end else end
    return None


def _ends(data: bytes, end: int) -> Iterator[int]:
    """Where the picture may end: before known trailers and what fills up a lost file, or with what looks like it."""
    start = data.rindex(b'\xff\xda', 0, end)
    trailer = TRAILER.search(data, start, end)
    end = trailer.start() if trailer else end
    filling = FILLING.search(data, start, end)
    limit = filling.start() if filling else end
    if filling and filling[1]:
        yield limit + OVERLAP
    else:
        kept = start + len(data[start:limit].rstrip(b'\0\xff'))
        # the last byte of a picture may be this one, which is never written alone
        yield kept + 2 if data[kept:kept + 2] == b'\xff\0' else kept
    if not _is_whole(data[:end - LAST]):
        yield end


def _is_whole(data: bytes) -> bool:
    """Whether a picture is the same whatever would follow its data, and makes sense to the last block."""
    seen = {_decoded(data + more + END) for more in CONTINUATIONS}
    return len(seen) == 1 and None not in seen


def _decoded(data: bytes) -> bytes | None:
    """A fingerprint of the picture; None where the decoder complains."""
    decoder = av.CodecContext.create('mjpeg', 'r')
    decoder.options, decoder.thread_count = {'err_detect': 'explode'}, 1
    try:
        pictures = decoder.decode(av.Packet(data)) + decoder.decode(None)
    except av.FFmpegError:
        return None
    seen = hashlib.blake2b()
    for plane in (plane for picture in pictures for plane in picture.planes):
        seen.update(plane)
    return seen.digest() if pictures else None
