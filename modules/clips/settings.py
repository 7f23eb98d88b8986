#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How a clip was made, told inside its file as JSON where each kind of file keeps words of any kind: a GIF's comment, an
MP4's ``comment`` tag, and EXIF's UserComment in WebP and JPEG. EXIF rather than XMP, because phones match the XMP of a
Motion Photo letter by letter, and because it is there in every JPEG anyway.

Reading takes files from anywhere: it looks at a few places of a known size, and at nothing else.

Libraries: none but the standard one.
"""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NoReturn

from modules.i18n import Text, text

#: bytes the words may have, and what an index that holds them, or a JPEG's head, may have
LONGEST, LARGEST_INDEX = 65536, 1 << 20
#: parts of a file that are looked at
MOST_PARTS = 4096

#: EXIF: from the first directory to the camera's, and to the words in there
CAMERA, USER_COMMENT, ASCII = 0x8769, 0x9286, b'ASCII\0\0\0'
JPEG_END = (0xD9, 0xDA)


class NoSettings(Exception):
    """
    A file tells nothing of how it was made, or nothing that can be understood.

    :param reason: why, in words
    :type reason: Text
    """

    def __init__(self, reason: Text):
        super().__init__(reason.in_('en'))
        self.text = reason


class _Missing(Exception):
    """What is looked for is not there."""


def to_text(settings: Mapping[str, object]) -> str:
    """
    The words that are put into a file.

    :param settings: what JSON can hold
    :type settings: Mapping[str, object]
    :return: JSON in ASCII, on one line; the same settings give the same words
    :rtype: str
    """
    return json.dumps(settings, allow_nan = False, separators = (', ', ': '))


def read(path: Path) -> dict[str, object]:
    """
    The settings a file tells.

    :param path: a GIF, MP4, WebP, a Live Photo's zip or JPEG, or a Motion Photo
    :type path: Path
    :return: what JSON can hold; nothing in it is known to be good
    :rtype: dict[str, object]
    :raises NoSettings: when there are none, or the file cannot be read
    """
    try:
        with path.open('rb') as file:
            return _parsed(_words(file))
    except OSError as error:
        raise NoSettings(
            text('settings.unreadable', path = path, reason = error.strerror or error)) from error
    except (_Missing, struct.error) as error:
        raise NoSettings(text('settings.none', path = path)) from error
    # a number of thousands of digits and a thousand brackets in each other are errors of other kinds
    except (ValueError, RecursionError) as error:
        raise NoSettings(text('settings.not_understood', path = path)) from error


def _parsed(words: bytes) -> dict[str, object]:
    """JSON as its standard has it."""

    def refuse(word: str) -> NoReturn:
        raise ValueError(f'{word} is no number')

    if len(words) > LONGEST:
        raise ValueError(f'{len(words)} bytes')
    found = json.loads(words.decode('ascii'), parse_constant = refuse)
    if not isinstance(found, dict):
        raise ValueError('settings without names')
    return found


def _words(file: BinaryIO) -> bytes:
    """What stands at the place for words in a file of any kind known here."""
    head = file.read(12)
    for start, part, find in KINDS:
        if head[start:start + len(part)] == part:
            file.seek(0)
            return find(file)
    raise _Missing('a file of another kind')


def _in_gif(file: BinaryIO) -> bytes:
    """The comment before the first picture (GIF89a)."""
    data, at = file.read(LARGEST_INDEX), 13
    flags, = struct.unpack_from('B', data, 10)
    at += 3 << (flags & 7) + 1 if flags & 0x80 else 0
    while data[at:at + 1] == b'!':
        label, content, at = data[at + 1:at + 2], [], at + 2
        while length := struct.unpack_from('B', data, at)[0]:
            content.append(data[at + 1:at + 1 + length])
            at += 1 + length
        at += 1
        if label == b'\xfe':
            return b''.join(content)
    raise _Missing('no comment')


def _in_mp4(file: BinaryIO) -> bytes:
    """The tag as FFmpeg writes it (QuickTime File Format, user data)."""
    index = next((_some(file, size) for kind, size in _boxes(file) if kind == b'moov'), b'')
    found = _inside(_inside(index, b'udta'), b'meta')[4:]
    value = _inside(_inside(_inside(found, b'ilst'), b'\xa9cmt'), b'data')
    if not value:
        raise _Missing('no tag')
    return value[8:]


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Kind and size of a file's boxes, the file standing at the content of each."""
    for _ in range(MOST_PARTS):
        size, kind = struct.unpack('>I4s', file.read(8))
        if size < 8:
            return
        end = file.tell() + size - 8
        yield kind, size - 8
        file.seek(end)


def _inside(data: bytes, wanted: bytes) -> bytes:
    """The content of a box among boxes; nothing where it is not."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from('>I4s', data, at)
        if kind == wanted or size < 8:
            return data[at + 8:at + size] if kind == wanted else b''
        at += size
    return b''


def _in_webp(file: BinaryIO) -> bytes:
    """The EXIF of a WebP (RFC 9649)."""
    file.seek(12)
    for _ in range(MOST_PARTS):
        kind, size = struct.unpack('<4sI', file.read(8))
        if kind == b'EXIF':
            return _user_comment(_some(file, size))
        file.seek(size + size % 2, 1)
    raise _Missing('no EXIF')


def _in_zip(file: BinaryIO) -> bytes:
    """The JPEG of a Live Photo, which lies in the zip as it is."""
    for _ in range(MOST_PARTS):
        mark, method, size, *lengths = struct.unpack('<4s4xH8xI4xHH', file.read(30))
        if mark != b'PK\3\4':
            break
        name = file.read(lengths[0])
        file.seek(lengths[1], 1)
        if method == 0 and name.endswith(b'.JPG'):
            return _in_jpeg(file)
        file.seek(size, 1)
    raise _Missing('no photo')


def _in_jpeg(file: BinaryIO) -> bytes:
    """The EXIF of a JPEG (Exif 2.32)."""
    data, at = file.read(LARGEST_INDEX), 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in JPEG_END:
        length, = struct.unpack_from('>H', data, at + 2)
        content = data[at + 4:at + 2 + length]
        if data[at + 1] == 0xE1 and content.startswith(b'Exif\0\0'):
            return _user_comment(content[6:])
        at += 2 + length
    raise _Missing('no EXIF')


def _user_comment(tiff: bytes) -> bytes:
    """The words in an EXIF block."""
    order = {b'MM\0\x2a': '>', b'II\x2a\0': '<'}.get(tiff[:4])
    if not order:
        raise _Missing('no TIFF')
    first, = struct.unpack_from(order + 'I', tiff, 4)
    _count, camera = _entry(tiff, order, first, CAMERA)
    count, at = _entry(tiff, order, camera, USER_COMMENT)
    words = tiff[at:at + count]
    if not words.startswith(ASCII) or len(words) != count:
        raise _Missing('no words')
    return words[len(ASCII):]


def _entry(tiff: bytes, order: str, directory: int, wanted: int) -> tuple[int, int]:
    """How many values an entry has, and what stands for them: a place, or the only value."""
    entries, = struct.unpack_from(order + 'H', tiff, directory)
    for number in range(entries):
        tag, count, value = struct.unpack_from(order + 'H2xII', tiff, directory + 2 + 12 * number)
        if tag == wanted:
            return count, value
    raise _Missing(f'no entry {wanted:#x}')


def _some(file: BinaryIO, size: int) -> bytes:
    """The next bytes of a file; too many are none of ours."""
    if size > LARGEST_INDEX:
        raise _Missing(f'{size} bytes')
    return file.read(size)


#: where a kind of file shows what it is, by which bytes, and what finds the words in it
KINDS: tuple[tuple[int, bytes, Callable[[BinaryIO], bytes]], ...] = (
    (0, b'GIF89a', _in_gif),
    (4, b'ftyp', _in_mp4),
    (8, b'WEBP', _in_webp),
    (0, b'PK\3\4', _in_zip),
    (0, b'\xff\xd8\xff', _in_jpeg),
)
