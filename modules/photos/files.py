#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Opens whatever picture came, by its bytes, and decodes of several pictures in one file the one that a browser shows.

Libraries: Pillow, pillow-heif.
"""

import io
from typing import BinaryIO

import pillow_heif
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from modules import errors
from modules.photos import avifs, bitmaps, jpegs, tiffs

#: what Pillow is asked for (JPEG stands for MPO too); a file's name and declared type decide nothing
FORMATS = ('AVIF', 'BMP', 'GIF', 'HEIF', 'JPEG', 'PNG', 'WEBP')
#: those that can be decoded at a fraction of their size
JPEGS = ('JPEG', 'MPO')

#: how kinds begin that are known by name, and their names
NAMED = (
    (0, b'\xff\x0a', 'JPEG XL'),
    (4, b'JXL ', 'JPEG XL'),
    (4, b'jP  ', 'JPEG 2000'),
    (0, b'\xff\x4f\xff\x51', 'JPEG 2000'),
    (0, b'II\xbc', 'JPEG XR'),
    (0, b'8BPS', 'Photoshop (PSD)'),
    (0, b'%PDF', 'PDF'),
    (0, b'\x1aE\xdf\xa3', 'Matroska'),
    (0, b'\x76\x2f\x31\x01', 'OpenEXR'),
    (0, b'#?RADIANCE', 'Radiance HDR'),
    (0, b'\0\0\1\0', 'ICO'),
)
#: brands of what is a movie in the container of HEIF
MOVIES = (b'isom', b'iso2', b'iso4', b'iso5', b'iso6', b'mp41', b'mp42', b'avc1', b'qt  ', b'M4V ')


def open_photo(file: BinaryIO) -> Image.Image:
    """
    Open a picture; nothing is decoded.

    :param file: the content
    :type file: BinaryIO
    :return: the picture
    :rtype: Image.Image
    :raises modules.errors.UnreadableImage: when its kind is known by name and cannot be read
    :raises OSError: when it is no picture, or a damaged one
    """
    file.seek(0)
    head = file.read(64)
    file.seek(0)
    if tiffs.is_other_raw(head):
        raise errors.CameraRaw('file')
    if tiffs.is_tiff(head):
        return tiffs.open_tiff(file)
    for at, mark, kind in NAMED:
        if head.startswith(mark, at):
            raise errors.UnknownKind('file', kind = kind)
    try:
        return Image.open(file, formats = FORMATS)
    except OSError:
        if bitmaps.is_bitmap(head):
            return bitmaps.MaskedBitmap(file)
        joined = _joined(file, head)
        if joined:
            return Image.open(joined, formats = ('AVIF', ))
        if name := _name(file, head):
            raise errors.UnknownKind('file', kind = name) from None
        raise


def _joined(file: BinaryIO, head: bytes) -> BinaryIO | None:
    """An AVIF that Pillow does not open for its tables, with those that it opens."""
    if not avifs.is_avif(head):
        return None
    file.seek(0)
    joined = avifs.join_tables(file.read())
    return io.BytesIO(joined) if joined else None


def _name(file: BinaryIO, head: bytes) -> str | None:
    """The kind of what Pillow does not open."""
    if head.startswith(b'ftyp', 4) and head[8:12] in MOVIES:
        return 'MP4/MOV'
    if not head.startswith(jpegs.START):
        return None
    file.seek(0)
    marker, bits = jpegs.find_kind(file.read())
    if marker in jpegs.LOSSLESS:
        return 'JPEG (lossless)'
    return f'JPEG ({bits} bit)' if bits > 8 else None


def find_pixels(file: BinaryIO) -> int:
    """
    Find how large an AVIF is that its decoder does not even open for its size.

    :param file: the content of what cannot be opened
    :type file: BinaryIO
    :return: width × height; 0 where it is something else
    :rtype: int
    """
    file.seek(0)
    if not avifs.is_avif(file.read(12)):
        return 0
    file.seek(0)
    try:
        width, height = pillow_heif.HeifFile(file).size
    except (OSError, SyntaxError, ValueError, RuntimeError, EOFError, IndexError):
        return 0
    return width * height


def draft(image: Image.Image, file: BinaryIO, wanted: tuple[int, int]) -> None:
    """
    Have a JPEG decoded at a fraction of its size. What other kinds have for it is another picture, the thumbnail.

    :param image: the picture, opened; it gets smaller
    :type image: Image.Image
    :param file: the content
    :type file: BinaryIO
    :param wanted: width and height that it has at the least
    :type wanted: tuple[int, int]
    """
    file.seek(0)
    if image.format in JPEGS and jpegs.find_kind(file.read())[0] not in jpegs.LOSSLESS:
        image.draft(None, wanted)


def complete(image: Image.Image, file: BinaryIO) -> Image.Image:
    """
    Give a JPEG the end mark that it lacks.

    :param image: the picture, opened
    :type image: Image.Image
    :param file: the content
    :type file: BinaryIO
    :return: the picture, or the same opened again
    :rtype: Image.Image
    :raises modules.photos.jpegs.Incomplete: when more than the mark is missing
    """
    if image.format not in JPEGS:
        return image
    file.seek(0)
    completed = jpegs.complete(file.read())
    return Image.open(io.BytesIO(completed), formats = JPEGS) if completed else image


def read_exif(image: Image.Image, file: BinaryIO) -> dict[int, dict[int, object]]:
    """
    Read EXIF. In a TIFF it stands with the first picture, whichever is meant.

    :param image: the picture, opened
    :type image: Image.Image
    :param file: the content
    :type file: BinaryIO
    :return: directory → tag → value, see :meth:`modules.photos.reader.PhotoReader.exif`
    :rtype: dict[int, dict[int, object]]
    """
    own = image.getexif()
    found = {0: dict(own), **{int(each): own.get_ifd(each) for each in tiffs.DIRECTORIES}}
    file.seek(0)
    if tiffs.is_tiff(file.read(4)):
        file.seek(0)
        for directory, tags in tiffs.read_exif(file.read()).items():
            found[directory] |= tags
    return found


def load(image: Image.Image) -> Image.Image:
    """
    Decode the picture that is shown first.

    :param image: the picture, opened
    :type image: Image.Image
    :return: the picture, or of an animation its first frame on the whole canvas
    :rtype: Image.Image
    """
    if getattr(image, 'default_image', False) and getattr(image, 'n_frames', 1) > 1:
        # of an APNG with a picture for those who know no APNG
        image.seek(1)
    shown = image.info.get('bbox')
    if isinstance(image, GifImageFile) and image.tile:
        shown = image.tile[0][1]
    image.load()
    if shown in (None, (0, 0, *image.size)):
        return image
    # what no frame covers has the colour of number 0, or the other picture, in Pillow
    canvas = Image.new('RGBA', image.size)
    canvas.info = image.info
    canvas.paste(image.convert('RGBA').crop(shown), shown)
    return canvas
