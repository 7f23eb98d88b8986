#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The functions that picture processes run, and how their results are sent: as JSON and bytes.

Libraries: those of ``photos``.
"""

from collections.abc import Mapping
from typing import Any, BinaryIO

import pillow_heif
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from modules import errors
from modules.photos import samples, stills
from modules.photos.reader import PhotoReader
from modules.photos.sandbox import markers, process_limits
from modules.photos.sizes import Photo

#: seconds of processor time for any picture, and for a hundred megapixels; the slowest honest ones of that size take a
#: fifth of it on an old laptop
SECONDS, SECONDS_FOR_LARGEST, LARGEST = 5, 30, 100_000_000

#: what a call gives
Found = tuple[dict[str, Any], bytes]


def prepare() -> None:
    """Load all that is loaded by need otherwise: later, no file can be opened."""
    Image.init()
    pillow_heif.libheif_info()
    samples.prepare()


def seconds_for(pixels: int) -> float:
    """
    How long a picture may take.

    :param pixels: width × height
    :type pixels: int
    :return: seconds of processor time
    :rtype: float
    """
    return SECONDS + (SECONDS_FOR_LARGEST - SECONDS) * pixels / LARGEST


class LimitedReader(PhotoReader):
    """Reads photos in a time that grows with their size; the process ends otherwise."""

    def allow(self, pixels: int) -> None:
        """
        :meth:`modules.photos.reader.PhotoReader.allow`.

        :param pixels: width × height
        :type pixels: int
        """
        super().allow(pixels)
        process_limits.limit_time(seconds_for(pixels))


def _reader(upload: BinaryIO, max_pixels: int) -> LimitedReader:
    """What may read a picture, unless it makes too much work."""
    # the content of a file in memory is not copied
    if markers.is_laborious(upload.read()):
        raise errors.DamagedImage('file')
    return LimitedReader(max_pixels)


def check(upload: BinaryIO, max_pixels: int) -> Found:
    """
    :meth:`modules.photos.reader.PhotoReader.check`.

    :param upload: its content
    :type upload: BinaryIO
    :param max_pixels: width × height it may have
    :type max_pixels: int
    :return: nothing
    :rtype: Found
    """
    _reader(upload, max_pixels).check(upload)
    return {}, b''


def read(upload: BinaryIO, max_pixels: int, pixels: int | None) -> Found:
    """
    :meth:`modules.photos.reader.PhotoReader.read`.

    :param upload: its content
    :type upload: BinaryIO
    :param max_pixels: width × height it may have
    :type max_pixels: int
    :param pixels: the fewest pixels that suffice; None for all there are
    :type pixels: int | None
    :return: for :func:`to_photo`
    :rtype: Found
    """
    photo = _reader(upload, max_pixels).read(upload, pixels)
    return {'size': photo.image.size, 'full_size': photo.full_size}, photo.image.tobytes()


def to_photo(found: dict[str, Any], content: bytes) -> Photo:
    """
    What :func:`read` has found.

    :param found: its facts
    :type found: dict[str, Any]
    :param content: its bytes
    :type content: bytes
    :return: the photo
    :rtype: Photo
    :raises ValueError: when they do not go together
    """
    return Photo(
        Image.frombytes('RGB', _to_size(found['size']), content), _to_size(found['full_size']))


def still(upload: BinaryIO, max_pixels: int, ratio: tuple[int, int]) -> Found:
    """
    :meth:`modules.photos.reader.PhotoReader.still`.

    :param upload: its content
    :type upload: BinaryIO
    :param max_pixels: width × height it may have
    :type max_pixels: int
    :param ratio: width and height of the aspect ratio it is cropped to
    :type ratio: tuple[int, int]
    :return: for :func:`to_still`
    :rtype: Found
    """
    made = _reader(upload, max_pixels).still(upload, ratio)
    return {'size': made.size, 'exif': _from_exif(made.exif)}, made.jpeg


def to_still(found: dict[str, Any], content: bytes) -> stills.Still:
    """
    What :func:`still` has found.

    :param found: its facts
    :type found: dict[str, Any]
    :param content: its bytes
    :type content: bytes
    :return: the photo in full
    :rtype: stills.Still
    """
    return stills.Still(content, _to_size(found['size']), _to_exif(found['exif']))


def show(upload: BinaryIO, max_pixels: int, pixels: int) -> Found:
    """
    :meth:`modules.photos.reader.PhotoReader.show`.

    :param upload: its content
    :type upload: BinaryIO
    :param max_pixels: width × height it may have
    :type max_pixels: int
    :param pixels: about how many the picture shown may have
    :type pixels: int
    :return: JPEG, upright
    :rtype: Found
    """
    return {}, _reader(upload, max_pixels).show(upload, pixels)


def _to_size(found: list[int]) -> tuple[int, int]:
    """Width and height as JSON has them; a ValueError where they are none."""
    width, height = found
    if not (type(width) is type(height) is int and width > 0 < height):
        raise ValueError(f'no size: {found}')
    return width, height


def _from_exif(found: Mapping[int, Mapping[int, object]]) -> dict[int, dict[int, object]]:
    """EXIF as JSON can hold it; values of other kinds than EXIF has are left out."""
    plain = {}
    for directory, tags in found.items():
        values = {int(tag): _from_value(value) for tag, value in tags.items()}
        plain[directory] = {tag: value for tag, value in values.items() if value is not None}
    return plain


def _from_value(value: object) -> object:
    if isinstance(value, bytes):
        return {'bytes': value.hex()}
    if isinstance(value, IFDRational):
        parts = value.numerator, value.denominator
        return {'rational': parts} if all(isinstance(each, int) for each in parts) else None
    if isinstance(value, (tuple, list)):
        inner = [_from_value(each) for each in value]
        return None if None in inner else inner
    return value if isinstance(value, (int, float, str)) else None


def _to_exif(found: dict[str, dict[str, Any]]) -> dict[int, dict[int, object]]:
    """What :func:`_from_exif` has made, as JSON brings it: directory → tag → value."""
    return {
        int(directory): {
            int(tag): _to_value(value)
            for tag, value in tags.items()
        }
        for directory, tags in found.items()
    }


def _to_value(value: Any) -> object:
    if isinstance(value, dict):
        (kind, inner), = value.items()
        return bytes.fromhex(inner) if kind == 'bytes' else IFDRational(*map(int, inner))
    return tuple(map(_to_value, value)) if isinstance(value, list) else value
