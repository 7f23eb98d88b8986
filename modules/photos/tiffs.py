#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Opens TIFF: the picture that is meant among those in the file, by the library that reads its kind right. Cameras' raw
files are TIFF too: of them the photo that the camera has put beside the sensor's data is taken, if it is large enough.

Libraries: Pillow, tifffile.
"""

import io
import itertools
import logging
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import tifffile
from PIL import ExifTags, Image, TiffImagePlugin
from tifffile import COMPRESSION, PHOTOMETRIC

from modules import errors
from modules.photos.samples import SampledTiff, read_number

#: how TIFF begins, classic and big; Olympus and Panasonic write other numbers into their raw files
HEADS = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
OWN_HEADS = (b'IIRO', b'IIRS', b'IIU\0')
#: raw files that are no TIFF: of Canon (three kinds), Fujifilm, Minolta, Sigma
OTHER_RAWS = ((4, b'ftypcrx '), (6, b'HEAPCCDR'), (0, b'FUJIFILMCCD-RAW'), (0, b'\0MRM'), (0,
                                                                                           b'FOVb'))

#: pictures read in one file
MOST = 64
#: a preview of this longer side makes as good a clip as the sensor's data
ENOUGH = 1024
#: what is smaller is a thumbnail, in a raw file without the sensor's size
THUMBNAIL = 512

#: what only raw files have: sensors' colours, and compressions of Kodak, Nikon, Pentax, Samsung, Sony
SENSORS = (32803, 34892)
SENSOR_CODES = (32767, 32769, 32770, 34713, 65000, 65535)
#: directories of EXIF about the camera and the place
DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
DNG_VERSION, JPEG_FROM_RAW, JPEG_START, JPEG_LENGTH = 50706, 46, 513, 514

#: orientations that swap width and height
ON_ITS_SIDE = (5, 6, 7, 8)

#: kinds that Pillow reads right when they have one colour after the other: colours → bits
BY_PILLOW: dict[int, tuple[int, ...]] = {
    PHOTOMETRIC.MINISWHITE: (1, 2, 4, 8),
    PHOTOMETRIC.MINISBLACK: (1, 2, 4, 8, 16),
    PHOTOMETRIC.RGB: (8, 16),
    PHOTOMETRIC.PALETTE: (1, 2, 4, 8),
    PHOTOMETRIC.SEPARATED: (8, 16),
    PHOTOMETRIC.YCBCR: (8, ),
}
#: of those, which channels beside the colours it reads right: colours and bits → channels (0: unknown, 1: multiplied
#: in, 2: transparency, 999: the same by Corel)
MORE_BY_PILLOW: dict[tuple[int, int], tuple[tuple[int, ...], ...]] = {
    (PHOTOMETRIC.MINISBLACK, 8): ((0, ), (2, )),
    (PHOTOMETRIC.RGB, 8):
    ((0, ), (1, ), (2, ), (999, ), (0, 0), (1, 0), (2, 0), (0, 0, 0), (1, 0, 0), (2, 0, 0)),
    (PHOTOMETRIC.RGB, 16): ((0, ), (1, ), (2, )),
    (PHOTOMETRIC.PALETTE, 8): ((0, ), (2, )),
    (PHOTOMETRIC.SEPARATED, 8): ((0, ), (0, 0)),
}
#: the same where one colour stands after the other
APART_BY_PILLOW: dict[tuple[int, int], tuple[tuple[int, ...], ...]] = {
    (PHOTOMETRIC.RGB, 8): ((2, ), )
}
#: what Pillow can unpack: none, fax (three kinds), LZW, JPEG (two), deflate (two), PackBits, LZMA, Zstandard
UNPACKED = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000)


def is_tiff(head: bytes) -> bool:
    """
    Recognise TIFF, and raw files that are TIFF but for their first bytes.

    :param head: the first bytes
    :type head: bytes
    :return: whether :func:`open_tiff` is for it
    :rtype: bool
    """
    return head[:4] in (*HEADS, *OWN_HEADS)


def is_other_raw(head: bytes) -> bool:
    """
    Recognise raw files that are not TIFF.

    :param head: the first 20 bytes
    :type head: bytes
    :return: whether it is one
    :rtype: bool
    """
    return any(head.startswith(mark, at) for at, mark in OTHER_RAWS)


def open_tiff(file: BinaryIO) -> Image.Image:
    """
    Open the picture that is meant; nothing is decoded.

    :param file: the content
    :type file: BinaryIO
    :return: the picture, upright or with the orientation in its EXIF
    :rtype: Image.Image
    :raises modules.errors.CameraRaw: when it is a raw file without a photo that is large enough
    :raises modules.errors.UnknownKind: when no library here reads its kind
    :raises OSError: when it is damaged
    """
    # what is wrong with an upload is no news
    logging.getLogger('tifffile').setLevel(logging.CRITICAL)
    file.seek(0)
    content = file.read()
    if content[:4] in OWN_HEADS:
        content = b'II*\0' + content[4:]
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            pages = list(itertools.islice(_pages(tiff), MOST))
            if _is_raw(pages) or pages[0].subfiletype & 1:
                return _open_meant(content, tiff, pages)
            return _open_page(content, tiff, pages[0])
    except tifffile.TiffFileError as error:
        raise OSError(str(error)) from error


def read_exif(content: bytes) -> dict[int, dict[int, object]]:
    """
    Read what a file says of all its pictures.

    :param content: the file
    :type content: bytes
    :return: directory → tag → value; bytes, which may be whole pictures, are left out
    :rtype: dict[int, dict[int, object]]
    :raises OSError: when it is damaged; so do others of :data:`modules.photos.reader.DECODING_ERRORS`
    """
    if content[:4] in OWN_HEADS:
        content = b'II*\0' + content[4:]
    main = _directory(content)
    inner = {
        int(each): _directory(content, main[each], each)
        for each in DIRECTORIES if each in main
    }
    return {0: main, **inner}


def _directory(content: bytes, offset: Any = None, group: int | None = None) -> dict[int, object]:
    """Tags of the first directory, or of that which another one points to."""
    head = content[:16 if 43 in content[2:4] else 8]
    found = TiffImagePlugin.ImageFileDirectory_v2(head, group = group)
    file = io.BytesIO(content)
    file.seek(found.next if offset is None else offset)
    found.load(file)
    values = ((tag, value[0] if isinstance(value, tuple) and len(value) == 1 else value)
              for tag, value in found.items())
    return {tag: value for tag, value in values if not isinstance(value, bytes)}


def _pages(tiff: tifffile.TiffFile) -> Iterator[tifffile.TiffPage]:
    """Pictures of a file, those inside others too."""
    for number in range(MOST):
        try:
            page = tiff.pages[number].aspage()
        except IndexError:
            if not number:
                raise
            return
        yield page
        yield from (each.aspage() for each in itertools.islice(page.pages or (), MOST))


def _is_raw(pages: list[tifffile.TiffPage]) -> bool:
    return DNG_VERSION in pages[0].tags or JPEG_FROM_RAW in pages[0].tags or any(
        page.photometric in SENSORS or page.compression in SENSOR_CODES for page in pages)


def _open_meant(content: bytes, tiff: tifffile.TiffFile,
                pages: list[tifffile.TiffPage]) -> Image.Image:
    """The largest picture or preview, unless it is a thumbnail of something larger that cannot be read."""
    found = [page for page in pages if not _is_sensor(page)]
    pictures = [_open_jpeg(part) for page in pages for part in _jpegs(content, page)]
    sizes = [(page.imagewidth, page.imagelength) for page in pages]
    largest = max(found, key = lambda page: page.imagewidth * page.imagelength, default = None)
    image = max(filter(None, pictures), key = lambda each: each.width * each.height, default = None)
    if largest and (not image
                    or largest.imagewidth * largest.imagelength > image.width * image.height):
        try:
            image = _open_page(content, tiff, largest)
        except errors.UnknownKind:
            # such as a phone's masks of skin and sky, beside the photo
            if not image:
                raise
    whole = max(width * height for width, height in sizes)
    if not image or (4 * image.width * image.height < whole and max(image.size) < ENOUGH):
        raise errors.CameraRaw('file')
    if _is_raw(pages) and not any(map(_is_sensor, pages)) and max(image.size) < THUMBNAIL:
        raise errors.CameraRaw('file')
    return _turned(image, pages[0])


def _is_sensor(page: tifffile.TiffPage) -> bool:
    """Whether a picture is what a sensor has seen, or holds no pixels."""
    return (page.photometric in SENSORS or page.compression in (*SENSOR_CODES, COMPRESSION.OJPEG)
            or not page.imagewidth or not page.imagelength or not any(page.databytecounts))


def _jpegs(content: bytes, page: tifffile.TiffPage) -> Iterator[bytes]:
    """Whole JPEGs that a picture points to."""
    start, length = read_number(page, JPEG_START), read_number(page, JPEG_LENGTH)
    if start and length:
        yield content[start:start + length]
    raw = page.tags.valueof(JPEG_FROM_RAW)
    if isinstance(raw, bytes):
        yield raw
    if page.compression in (COMPRESSION.OJPEG, COMPRESSION.JPEG) and len(page.dataoffsets) == 1:
        yield content[page.dataoffsets[0]:page.dataoffsets[0] + page.databytecounts[0]]


def _open_jpeg(content: bytes) -> Image.Image | None:
    try:
        return Image.open(io.BytesIO(content), formats = ('JPEG', ))
    except (OSError, SyntaxError, ValueError, struct.error):
        # a sensor's data may be lossless JPEG
        return None


def _open_page(content: bytes, tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> Image.Image:
    """One picture, by the library that reads its kind."""
    if page.offset != tiff.pages.first.offset:
        content = _with_first(content, tiff, page.offset)
    # Pillow does not know the big ones of the other order
    is_known = page.compression in UNPACKED and not (tiff.is_bigtiff and tiff.byteorder == '>')
    if is_known and _is_by_pillow(page):
        return Image.open(io.BytesIO(content), formats = ('TIFF', ))
    if SampledTiff.reads(page):
        return SampledTiff(io.BytesIO(content))
    if is_known and SampledTiff.is_plain_float(page):
        return Image.open(io.BytesIO(content), formats = ('TIFF', ))
    raise errors.UnknownKind('file', kind = SampledTiff.name(page))


def _with_first(content: bytes, tiff: tifffile.TiffFile, offset: int) -> bytes:
    """The same file with another picture in the first place."""
    if tiff.is_bigtiff:
        return content[:8] + struct.pack(f'{tiff.byteorder}Q', offset) + content[16:]
    return content[:4] + struct.pack(f'{tiff.byteorder}I', offset) + content[8:]


def _is_by_pillow(page: tifffile.TiffPage) -> bool:
    bits = page.bitspersample
    if page.sampleformat != 1 or bits not in BY_PILLOW.get(page.photometric, ()):
        return False
    more = tuple(map(int, page.extrasamples))
    known = MORE_BY_PILLOW
    if page.planarconfig == 2 and page.samplesperpixel > 1:
        # deep ones become stripes where nothing is packed
        if page.samplesperpixel - len(more) < 3 or (bits == 16 and page.compression == 1):
            return False
        known = APART_BY_PILLOW
    return not more or more in known.get((page.photometric, bits), ())


def _turned(image: Image.Image, first: tifffile.TiffPage) -> Image.Image:
    """A preview with the orientation of the file, where it has none of its own."""
    orientation = read_number(first, ExifTags.Base.Orientation)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        if orientation and ExifTags.Base.Orientation not in image.tag_v2:
            # Pillow turns TIFF itself when it is decoded, and gives its size as it is then
            image.getexif()[ExifTags.Base.Orientation] = orientation
            image._size = image.size[::-1] if orientation in ON_ITS_SIDE else image.size
        return image
    exif = Image.Exif()
    exif.load(image.info.get('exif', b''))
    if orientation and ExifTags.Base.Orientation not in exif:
        exif[ExifTags.Base.Orientation] = orientation
        image.info['exif'] = exif.tobytes()
    return image
