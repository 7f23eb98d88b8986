#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Writes the still of a Live Photo or Motion Photo: a JPEG whose EXIF and XMP stand first, as phones write them.

The EXIF block (TIFF 6.0, Exif 2.32) is built here, because Pillow writes a maker note with the type BYTE, which
Apple's readers do not accept.

Libraries: none.
"""

import struct
from collections.abc import Mapping
from datetime import datetime

from modules.encoders import Still, UnknownLayout, local_time
from modules.encoders.containers import moments
from modules.encoders.containers.moments import CAMERA, DIGITIZED, MODIFIED, TAKEN

#: characters, and numbers, that an entry of the photo's own may have
LONGEST_TEXT, MOST_VALUES = 200, 4

#: types of TIFF entries
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL = 1, 2, 3, 4, 5, 7, 10
#: the tag of IFD0 that points to the place, and the one of cameras' own notes
PLACE, MAKER_NOTE = 0x8825, 0x927C
#: where EXIF keeps words of any kind
USER_COMMENT = 0x9286

#: what is kept of the photo's own EXIF: directory → tag → type
KEPT = {
    # maker, model
    0: dict.fromkeys((0x010F, 0x0110), ASCII),
    CAMERA: {
        # dates with their time zones and fractions of a second
        **dict.fromkeys((TAKEN, DIGITIZED, 0x9011, 0x9012, 0x9291, 0x9292), ASCII),
        # exposure time, f-number, focal length; bias; ISO, focal length on 35 mm film; lens
        **dict.fromkeys((0x829A, 0x829D, 0x920A), RATIONAL),
        0x9204: SRATIONAL,
        **dict.fromkeys((0x8827, 0xA405), SHORT),
        **dict.fromkeys((0xA433, 0xA434), ASCII)
    },
    # version, latitude, longitude, altitude, time, direction, date
    PLACE: {
        **dict.fromkeys((0x00, 0x05), BYTE),
        **dict.fromkeys((0x01, 0x03, 0x10, 0x1D), ASCII),
        **dict.fromkeys((0x02, 0x04, 0x06, 0x07, 0x11), RATIONAL)
    }
}

#: type, number of values, the values as bytes
Entry = tuple[int, int, bytes]


def parts(still: Still, tiff: bytes, packet: bytes | None = None) -> list[bytes | memoryview]:
    """
    Put metadata into a still.

    :param still: the still
    :type still: Still
    :param tiff: the EXIF block, as :func:`exif` makes it
    :type tiff: bytes
    :param packet: the XMP packet
    :type packet: bytes | None
    :return: what makes the file, one after the other; EXIF is its first segment, XMP its second
    :rtype: list[bytes | memoryview]
    :raises modules.encoders.UnknownLayout: when Pillow writes something else than it always did
    """
    plain = still.jpeg
    if plain[:4] != b'\xff\xd8\xff\xe0' or plain[-2:] != b'\xff\xd9':
        raise UnknownLayout('a JPEG that does not begin with JFIF or does not end')
    after_jfif = 4 + struct.unpack_from('>H', plain, 4)[0]
    segments = [_segment(b'Exif\0\0', tiff)]
    if packet:
        segments.append(_segment(b'http://ns.adobe.com/xap/1.0/\0', packet))
    # a large photo is not copied
    return [plain[:2], *segments, memoryview(plain)[after_jfif:]]


def _segment(name: bytes, content: bytes) -> bytes:
    length = 2 + len(name) + len(content)
    if length > 0xFFFF:
        raise UnknownLayout(f'{length} bytes of metadata, more than a JPEG can hold')
    return b'\xff\xe1' + struct.pack('>H', length) + name + content


def exif(still: Still,
         maker_note: bytes | None = None,
         *,
         created: datetime | None = None,
         words: str | None = None) -> bytes:
    """
    The EXIF block of a still: what is known of the photo, and what a valid block must have.

    :param still: the still
    :type still: Still
    :param maker_note: goes where cameras put their own notes, unchanged
    :type maker_note: bytes | None
    :param created: when the file was asked for, with its time zone; None is now
    :type created: datetime | None
    :param words: ASCII, for whoever looks into the file
    :type words: str | None
    :return: a big-endian TIFF without pictures
    :rtype: bytes
    """
    main, camera, place = (_kept(still.exif, directory) for directory in (0, CAMERA, PLACE))
    taken = moments.date_of(still.exif)
    width, height = still.size
    main |= {
        0x0112: _numbers(SHORT, 1),
        0x011A: _rational(72),
        0x011B: _rational(72),
        0x0128: _numbers(SHORT, 2),
        0x0131: _text('turn-live-photos'),
        MODIFIED: _text(f'{local_time(created):%Y:%m:%d %H:%M:%S}'),
        0x0213: _numbers(SHORT, 1),
    }
    for tag in (TAKEN, DIGITIZED):
        camera.pop(tag, None)
        camera |= {tag: _text(taken)} if taken else {}
    camera |= {
        0x9000: (UNDEFINED, 4, b'0232'),
        0x9101: (UNDEFINED, 4, b'\1\2\3\0'),
        0xA000: (UNDEFINED, 4, b'0100'),
        0xA001: _numbers(SHORT, 1),
        0xA002: _numbers(LONG, width),
        0xA003: _numbers(LONG, height),
    }
    camera |= {MAKER_NOTE: (UNDEFINED, len(maker_note), maker_note)} if maker_note else {}
    camera |= {USER_COMMENT: _user_comment(words)} if words else {}
    return _tiff(main, camera, place)


def comment(words: str) -> bytes:
    """
    An EXIF block that holds words and nothing else.

    :param words: ASCII
    :type words: str
    :return: a big-endian TIFF without pictures
    :rtype: bytes
    """
    return _tiff({}, {0x9000: (UNDEFINED, 4, b'0232'), USER_COMMENT: _user_comment(words)}, {})


def _tiff(main: dict[int, Entry], camera: dict[int, Entry], place: dict[int, Entry]) -> bytes:
    """The three directories one after the other, the first pointing to the others."""
    pointers = {CAMERA: _numbers(LONG, 0)} | ({PLACE: _numbers(LONG, 0)} if place else {})
    camera_at = 8 + len(_directory(main | pointers, 8))
    second = _directory(camera, camera_at)
    pointers[CAMERA] = _numbers(LONG, camera_at)
    if place:
        pointers[PLACE] = _numbers(LONG, camera_at + len(second))
    third = _directory(place, camera_at + len(second)) if place else b''
    return b'MM\0\x2a\0\0\0\x08' + _directory(main | pointers, 8) + second + third


def _directory(entries: Mapping[int, Entry], start: int) -> bytes:
    """An IFD that begins ``start`` bytes into the block; what is longer than four bytes follows it."""
    rows, values = [], b''
    values_at = start + 2 + 12 * len(entries) + 4
    for tag, (kind, count, value) in sorted(entries.items()):
        place = value.ljust(4, b'\0')
        if len(value) > 4:
            place = struct.pack('>I', values_at + len(values))
            values += value + b'\0' * (len(value) % 2)
        rows.append(struct.pack('>HHI', tag, kind, count) + place)
    return struct.pack('>H', len(entries)) + b''.join(rows) + bytes(4) + values


def _kept(found: Mapping[int, Mapping[int, object]], directory: int) -> dict[int, Entry]:
    """What may be kept of a directory of the photo; values that are not what their tag asks for are left out."""
    entries = {}
    for tag, value in found.get(directory, {}).items():
        kind = KEPT[directory].get(tag)
        try:
            if kind:
                entries[tag] = _entry(kind, value)
        except (TypeError, ValueError, AttributeError, OverflowError, struct.error):
            continue
    return entries


def _entry(kind: int, value: object) -> Entry:
    if kind == ASCII:
        return _text(str.strip(value.replace('\0', ' '))[:LONGEST_TEXT])
    values = value if isinstance(value, (tuple, bytes)) else (value, )
    if not 0 < len(values) <= MOST_VALUES:
        raise ValueError(f'{len(values)} values')
    if kind in (RATIONAL, SRATIONAL):
        numbers = [part for each in values for part in (each.numerator, each.denominator)]
        return kind, len(values), struct.pack(f'>{len(numbers)}{"iI"[kind == RATIONAL]}', *numbers)
    return _numbers(kind, *values)


def _numbers(kind: int, *values: int) -> Entry:
    form = {BYTE: 'B', SHORT: 'H', LONG: 'I'}[kind]
    return kind, len(values), struct.pack(f'>{len(values)}{form}', *values)


def _rational(value: int) -> Entry:
    return RATIONAL, 1, struct.pack('>II', value, 1)


def _user_comment(words: str) -> Entry:
    content = b'ASCII\0\0\0' + words.encode()
    return UNDEFINED, len(content), content


def _text(value: str) -> Entry:
    encoded = value.encode() + b'\0'
    return ASCII, len(encoded), encoded
