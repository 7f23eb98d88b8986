#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Photo intake: whatever bytes came → an upright, opaque, 8-bit sRGB picture, or a refusal.

Libraries: Pillow, pillow-heif (HEIC), loaded when the first reader is made.
"""

import io
import logging
import math
import struct
import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, Protocol

import pillow_heif
from PIL import ExifTags, Image

from modules import errors
from modules.photos import colours, files, stills
from modules.photos.sizes import Photo, crop_to_ratio

logger = logging.getLogger(__name__)

#: where Pillow keeps EXIF; the latter is ImageMagick's, in PNG
EXIF_KEYS = ('exif', 'Raw profile type exif')

#: EXIF orientation → what turns the picture upright
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: turns that swap width and height
ON_ITS_SIDE = (UPRIGHT[5], UPRIGHT[6], UPRIGHT[7], UPRIGHT[8])

#: what Pillow's decoders raise on bytes that contradict themselves
DECODING_ERRORS = (OSError, SyntaxError, ValueError, RuntimeError, TypeError, KeyError, IndexError,
                   EOFError, OverflowError, ZeroDivisionError, struct.error,
                   Image.DecompressionBombError)


class Reader(Protocol):
    """Reads a person's photos, here or in another process."""

    def check(self, photo: Path) -> None:
        """
        Make sure that a photo can be read to its last byte.

        :param photo: the upload
        :type photo: Path
        :raises errors.TooManyPixels: before anything is decoded
        :raises errors.UnreadableImage: when it is no image, or a damaged one
        """

    def read(self, photo: Path, pixels: int | None = None) -> Photo:
        """
        Decode a photo.

        :param photo: the upload
        :type photo: Path
        :param pixels: the fewest pixels that suffice, which lets large JPEGs be decoded at a fraction of their
            size; None for all there are
        :type pixels: int | None
        :return: the photo
        :rtype: Photo
        :raises errors.TooManyPixels: before anything is decoded
        :raises errors.UnreadableImage: when it is no image, or a damaged one
        """
        ...

    def still(self, photo: Path, ratio: tuple[int, int]) -> stills.Still:
        """
        Decode a photo in full, and encode it for the formats that hold it.

        :param photo: the upload
        :type photo: Path
        :param ratio: width and height of the aspect ratio it is cropped to
        :type ratio: tuple[int, int]
        :return: the photo, with its EXIF
        :rtype: stills.Still
        :raises errors.TooManyPixels: before anything is decoded
        :raises errors.UnreadableImage: when it is no image, or a damaged one
        """
        ...


class PhotoReader(Reader):
    """
    Reads photos here, each from a file or from its content: a few at a time, so that simultaneous uploads do not add up
    to gigabytes.

    :param max_pixels: width × height a photo may have
    :type max_pixels: int
    :param simultaneous: photos decoded at once
    :type simultaneous: int
    """

    def __init__(self, max_pixels: int, simultaneous: int = 2):
        self.max_pixels = max_pixels
        self._slots = threading.BoundedSemaphore(simultaneous)
        pillow_heif.register_heif_opener()
        # the limit here is checked before decoding; Pillow's own would only add a second one
        Image.MAX_IMAGE_PIXELS = None

    def check(self, photo: Path | BinaryIO) -> None:
        with self._opened(photo) as (image, file):
            # an eighth of each side is enough to meet every byte of a JPEG
            files.draft(image, file, (1, 1))
            image.load()

    def read(self, photo: Path | BinaryIO, pixels: int | None = None) -> Photo:
        with self._opened(photo) as (image, file):
            size = image.size
            encoding = colours.find_encoding(image, file)
            scale = min(1.0, math.sqrt((pixels or math.inf) / (size[0] * size[1])))
            wanted = (math.ceil(size[0] * scale), math.ceil(size[1] * scale))
            files.draft(image, file, wanted)
            transposition = UPRIGHT.get(_orientation(image))
            image = colours.to_eight_bits(files.load(image))
            small = colours.to_srgb(_reduced(image, wanted), encoding)
            if transposition is None:
                return Photo(small, size)
            return Photo(
                small.transpose(transposition),
                size[::-1] if transposition in ON_ITS_SIDE else size)

    def exif(self, photo: Path | BinaryIO) -> dict[int, dict[int, object]]:
        """
        Read a photo's EXIF.

        :param photo: the upload, or its content
        :type photo: Path | BinaryIO
        :return: directory (0 for the main one, else the tag that points to it) → tag → value, as Pillow reads it;
            empty where there is none or it is broken
        :rtype: dict[int, dict[int, object]]
        :raises errors.UnreadableImage: when it is no image
        """
        with self._opened(photo) as (image, file):
            try:
                return files.read_exif(image, file)
            except DECODING_ERRORS as error:
                logger.info('EXIF that cannot be read: %s', error)
                return {}

    def still(self, photo: Path | BinaryIO, ratio: tuple[int, int]) -> stills.Still:
        facts = self.exif(photo)
        return stills.encode(crop_to_ratio(self.read(photo).image, ratio), facts)

    def show(self, photo: Path | BinaryIO, pixels: int) -> bytes:
        """
        Make a picture of a photo that a page can show.

        :param photo: the upload, or its content
        :type photo: Path | BinaryIO
        :param pixels: about how many the picture shown may have
        :type pixels: int
        :return: JPEG, upright
        :rtype: bytes
        :raises errors.TooManyPixels: before anything is decoded
        :raises errors.UnreadableImage: when it is no image, or a damaged one
        """
        image = self.read(photo, pixels).image
        scale = min(1.0, math.sqrt(pixels / (image.width * image.height)))
        image.thumbnail((max(1, image.width * scale), max(1, image.height * scale)))
        content = io.BytesIO()
        image.save(content, 'JPEG', quality = 88)
        return content.getvalue()

    @contextmanager
    def _opened(self, photo: Path | BinaryIO):
        """A photo whose header is understood and whose size is allowed; decoding errors become refusals."""
        opened = photo.open('rb') if isinstance(photo, Path) else nullcontext(photo)
        with self._slots, opened as file:
            file.seek(0)
            if not file.read(1):
                raise errors.EmptyImage('file')
            file.seek(0)
            try:
                image = files.open_photo(file)
            except DECODING_ERRORS as error:
                logger.info('Not an image: %s', error)
                self.allow(files.find_pixels(file))
                raise errors.UnreadableImage('file') from error
            with image:
                # Pillow turns TIFF by it, which no browser does
                image.info.pop('xmp', None)
                self.allow(image.width * image.height)
                try:
                    yield files.complete(image, file), file
                except DECODING_ERRORS as error:
                    logger.info('A damaged image: %s', error)
                    raise errors.DamagedImage('file') from error

    def allow(self, pixels: int) -> None:
        """
        Decide by a photo's size whether to decode it.

        :param pixels: width × height
        :type pixels: int
        :raises errors.TooManyPixels: when it is not decoded
        """
        if pixels > self.max_pixels:
            raise errors.TooManyPixels(
                'file', pixels = f'{pixels / 1e6:.1f}', limit = f'{self.max_pixels / 1e6:g}')


def _reduced(image: Image.Image, wanted: tuple[int, int]) -> Image.Image:
    """Whole fractions of the size, for what ``draft`` cannot do: everything after is as much cheaper."""
    factor = min(image.width // wanted[0], image.height // wanted[1])
    if factor < 2:
        return image
    if image.mode in ('1', 'P', 'PA'):
        image = image.convert('RGBA' if image.has_transparency_data else 'RGB')
    info = image.info
    image = image.reduce(factor)
    image.info = info
    return image


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8, and not XMP's, of what Pillow has not turned; broken EXIF turns nothing."""
    blank = Image.new('1', (1, 1))
    blank.info = {key: image.info[key] for key in EXIF_KEYS if key in image.info}
    try:
        return blank.getexif().get(ExifTags.Base.Orientation, 1)
    except DECODING_ERRORS as error:
        logger.info('EXIF that cannot be read: %s', error)
        return 1
