#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Writes the still of a Live Photo or Motion Photo: a JPEG whose EXIF and XMP stand first, as phones write them.

Pillow writes each directory of EXIF (TIFF 6.0, Exif 2.32) with its types set here: it would write a maker note with the
type BYTE, which Apple's readers do not accept.

Libraries: Pillow.
"""

import struct
from collections.abc import Mapping
from datetime import datetime
from numbers import Rational
from typing import Any

from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from PIL.TiffTags import ASCII, BYTE, LONG, RATIONAL, SHORT, SIGNED_RATIONAL, UNDEFINED

from modules.encoders import Still, UnknownLayout, to_local_time
from modules.encoders.containers import moments

#: characters, and numbers, that an entry of the photo's own may have
LONGEST_TEXT, MOST_VALUES = 200, 4
#: bytes of a TIFF's head, which begins a block of EXIF
HEAD = 8

#: what is kept of the photo's own EXIF: directory → type → tags
KEPT: dict[int, dict[int, tuple[int, ...]]] = {
    0: {
        ASCII: (Base.Make, Base.Model),
    },
    IFD.Exif: {
        ASCII: (Base.OffsetTimeOriginal, Base.OffsetTimeDigitized, Base.SubsecTimeOriginal,
                Base.SubsecTimeDigitized, Base.LensMake, Base.LensModel),
        RATIONAL: (Base.ExposureTime, Base.FNumber, Base.FocalLength),
        SIGNED_RATIONAL: (Base.ExposureBiasValue, ),
        SHORT: (Base.ISOSpeedRatings, Base.FocalLengthIn35mmFilm),
    },
    IFD.GPSInfo: {
        BYTE: (GPS.GPSVersionID, GPS.GPSAltitudeRef),
        ASCII: (GPS.GPSLatitudeRef, GPS.GPSLongitudeRef, GPS.GPSImgDirectionRef, GPS.GPSDateStamp),
        RATIONAL:
        (GPS.GPSLatitude, GPS.GPSLongitude, GPS.GPSAltitude, GPS.GPSTimeStamp, GPS.GPSImgDirection),
    },
}

#: type and value
Entry = tuple[int, Any]


def embed_metadata(still: Still,
                   tiff: bytes,
                   packet: bytes | None = None) -> list[bytes | memoryview]:
    """
    Put metadata into a still.

    :param still: the still
    :type still: Still
    :param tiff: the EXIF block, as :func:`make_exif` makes it
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


def make_exif(still: Still,
              maker_note: bytes | None = None,
              *,
              created: datetime | None = None,
              comment: str | None = None) -> bytes:
    """
    Make the EXIF block of a still: what is known of the photo, and what a valid block must have.

    :param still: the still
    :type still: Still
    :param maker_note: goes where cameras put their own notes, unchanged
    :type maker_note: bytes | None
    :param created: when the file was asked for, with its time zone; None is now
    :type created: datetime | None
    :param comment: ASCII, for EXIF's UserComment
    :type comment: str | None
    :return: a big-endian TIFF without pictures
    :rtype: bytes
    """
    main, camera, place = (_kept(still.exif, directory) for directory in KEPT)
    main |= {
        Base.Orientation: (SHORT, 1),
        Base.XResolution: (RATIONAL, 72),
        Base.YResolution: (RATIONAL, 72),
        Base.ResolutionUnit: (SHORT, 2),
        Base.Software: (ASCII, 'turn-live-photos'),
        Base.DateTime: (ASCII, f'{to_local_time(created):%Y:%m:%d %H:%M:%S}'),
        Base.YCbCrPositioning: (SHORT, 1),
    }
    taken = moments.find_date(still.exif)
    if taken:
        camera |= dict.fromkeys((Base.DateTimeOriginal, Base.DateTimeDigitized), (ASCII, taken))
    camera |= {
        Base.ComponentsConfiguration: (UNDEFINED, b'\1\2\3\0'),
        Base.FlashPixVersion: (UNDEFINED, b'0100'),
        Base.ColorSpace: (SHORT, 1),
        Base.ExifImageWidth: (LONG, still.size[0]),
        Base.ExifImageHeight: (LONG, still.size[1]),
    }
    camera |= {Base.MakerNote: (UNDEFINED, maker_note)} if maker_note else {}
    return _tiff(main, camera | _comment(comment), place)


def make_comment(comment: str) -> bytes:
    """
    Make an EXIF block that holds a comment and nothing else.

    :param comment: ASCII
    :type comment: str
    :return: a big-endian TIFF without pictures
    :rtype: bytes
    """
    return _tiff({}, _comment(comment), {})


def _comment(comment: str | None) -> dict[int, Entry]:
    """The version of EXIF, and the comment."""
    version: dict[int, Entry] = {Base.ExifVersion: (UNDEFINED, b'0232')}
    if not comment:
        return version
    return version | {Base.UserComment: (UNDEFINED, b'ASCII\0\0\0' + comment.encode())}


def _tiff(main: dict[int, Entry], camera: dict[int, Entry], place: dict[int, Entry]) -> bytes:
    """The three directories one after the other, the first pointing to the others."""
    others = {IFD.Exif: camera} | ({IFD.GPSInfo: place} if place else {})
    # how long the first one is does not depend on where it points to
    at = HEAD + len(_directory(main | dict.fromkeys(others, (LONG, 0))).tobytes(HEAD))
    blocks = []
    for tag, entries in others.items():
        main |= {tag: (LONG, at)}
        blocks.append(_directory(entries).tobytes(at))
        at += len(blocks[-1])
    return b'MM\0\x2a' + struct.pack('>I', HEAD) + _directory(main).tobytes(HEAD) + b''.join(blocks)


def _directory(entries: Mapping[int, Entry]) -> ImageFileDirectory_v2:
    directory = ImageFileDirectory_v2(prefix = b'MM')
    for tag, (kind, value) in entries.items():
        directory.tagtype[tag] = kind
        directory[tag] = value
    return directory


def _kept(found: Mapping[int, Mapping[int, object]], directory: int) -> dict[int, Entry]:
    """What may be kept of a directory of the photo; values that are not what their tag asks for are left out."""
    kinds = {tag: kind for kind, tags in KEPT[directory].items() for tag in tags}
    values = found.get(directory, {})
    entries = {}
    for tag in kinds.keys() & values.keys():
        try:
            entry = _entry(kinds[tag], values[tag])
            _directory({tag: entry}).tobytes()
        except (TypeError, ValueError, ArithmeticError, struct.error):
            continue
        entries[tag] = entry
    return entries


def _entry(kind: int, value: object) -> Entry:
    if kind == ASCII:
        if not isinstance(value, str):
            raise TypeError(f'{value!r} is no text')
        # Pillow alone would write ASCII, where cameras write UTF-8
        return kind, value.replace('\0', ' ').strip()[:LONGEST_TEXT].encode()
    values = value if isinstance(value, (tuple, bytes)) else (value, )
    if not 0 < len(values) <= MOST_VALUES:
        raise ValueError(f'{len(values)} values')
    if kind in (RATIONAL,
                SIGNED_RATIONAL) and not all(isinstance(each, Rational) for each in values):
        raise TypeError(f'{value!r} is no fraction')
    return kind, bytes(values) if kind == BYTE else tuple(values)
