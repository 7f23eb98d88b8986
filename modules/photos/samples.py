#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
TIFF of kinds that Pillow reads wrongly or not at all: planes apart, deep greys with alpha, halves, floats, 32 bits,
L*a*b*, big-endian BigTIFF. OpenCV shows stripes where planes are apart, so that tifffile reads them.

Libraries: numpy, Pillow, tifffile.
"""

import contextlib
import io
import zlib
from typing import IO, Any

import numpy
import tifffile
from PIL import ExifTags, Image, ImageFile
from tifffile import PHOTOMETRIC

from modules.photos import cicp

#: what unpacking of damaged data raises
DAMAGE: tuple[type[Exception], ...] = (zlib.error, )
# a Python without it unpacks nothing that could be damaged
with contextlib.suppress(ImportError):
    import lzma
    DAMAGE = (zlib.error, lzma.LZMAError)

#: colours that are understood → how many channels they have
CHANNELS: dict[int, int] = {
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.SEPARATED: 4,
    PHOTOMETRIC.CIELAB: 3,
    PHOTOMETRIC.ICCLAB: 3,
}
MODES = {1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA'}
ICC_PROFILE = 34675
#: files do not say which value of these means white: the least that is not below the brightest
WHITES = (1, 255, 65535)
#: samples converted at once
BLOCK = 1 << 16


def prepare() -> None:
    """Load what tifffile loads by need otherwise."""
    content = io.BytesIO()
    tifffile.imwrite(
        content, numpy.zeros((8, 8), numpy.uint16), compression = 'zlib', predictor = 2)
    content.seek(0)
    tifffile.imread(content)
    for table in (tifffile.TIFF.DECOMPRESSORS, tifffile.TIFF.UNPREDICTORS):
        for code in tifffile.COMPRESSION:
            with contextlib.suppress(KeyError, ImportError):
                table[code]


def read_number(page: tifffile.TiffPage, tag: int) -> int:
    """
    Read a tag of a picture that is a number.

    :param page: the picture
    :type page: tifffile.TiffPage
    :param tag: the tag
    :type tag: int
    :return: the first one; 0 where there is none
    :rtype: int
    """
    value = page.tags.valueof(tag)
    value = value[0] if isinstance(value, tuple) and value else value
    return int(value) if isinstance(value, int) else 0


class SampledTiff(ImageFile.ImageFile):
    """The first picture of a TIFF, as Pillow's own plugins show theirs; it is decoded when it is loaded."""

    format = 'TIFF'
    format_description = 'TIFF, read by tifffile'

    @staticmethod
    def reads(page: tifffile.TiffPage) -> bool:
        """
        Decide whether a picture can be read.

        :param page: the picture
        :type page: tifffile.TiffPage
        :return: whether its colours, its depth and its compression are known
        :rtype: bool
        """
        try:
            known = callable(tifffile.TIFF.DECOMPRESSORS[page.compression]) and (
                page.predictor == 1 or callable(tifffile.TIFF.UNPREDICTORS[page.predictor]))
        except (KeyError, ImportError):
            return False
        channels = CHANNELS.get(page.photometric)
        is_lab = page.photometric in (PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB)
        return bool(known and channels and page.dtype is not None and page.dtype.kind in 'uif'
                    and page.bitspersample == 8 * page.dtype.itemsize
                    and channels <= page.samplesperpixel and page.imagedepth == 1
                    and not (is_lab and page.bitspersample not in (8, 16)))

    @staticmethod
    def is_plain_float(page: tifffile.TiffPage) -> bool:
        """
        Decide whether a picture is of the one kind besides that Pillow reads, whatever its compression.

        :param page: the picture
        :type page: tifffile.TiffPage
        :return: whether it is grey of 32 bits, little-endian
        :rtype: bool
        """
        return (page.samplesperpixel == 1 and page.dtype == numpy.float32
                and page.parent.byteorder == '<' and page.predictor == 1
                and page.photometric == PHOTOMETRIC.MINISBLACK)

    @staticmethod
    def name(page: tifffile.TiffPage) -> str:
        """
        Name the kind of a picture, in words that are the same in every language.

        :param page: the picture
        :type page: tifffile.TiffPage
        :return: such as ``TIFF (CIELAB, 16 bit, LZW)``
        :rtype: str
        """
        colours = getattr(page.photometric, 'name', str(page.photometric))
        packed = getattr(page.compression, 'name', str(page.compression))
        kind = ' float' if page.sampleformat == 3 else ''
        return f'TIFF ({colours}, {page.samplesperpixel} × {page.bitspersample} bit{kind}, {packed})'

    #: set before a file is opened
    fp: IO[bytes]

    def _open(self) -> None:
        self._page = tifffile.TiffFile(self.fp).pages.first
        page, channels = self._page, CHANNELS[self._page.photometric]
        self._has_alpha = bool(page.extrasamples) and int(page.extrasamples[0]) in (1, 2)
        self._is_premultiplied = self._has_alpha and int(page.extrasamples[0]) == 1
        self._size = page.imagewidth, page.imagelength
        self._mode = 'CMYK' if channels == 4 else MODES[channels + self._has_alpha]
        # what stands for loading later; there is nothing that Pillow decodes
        self.tile = [ImageFile._Tile('raw', (0, 0, *self._size), 0, self._mode)]
        if isinstance(profile := page.tags.valueof(ICC_PROFILE), bytes) and not self._is_lab():
            self.info['icc_profile'] = profile
        orientation = read_number(page, ExifTags.Base.Orientation)
        if orientation > 1:
            exif = Image.Exif()
            exif[ExifTags.Base.Orientation] = orientation
            self.info['exif'] = exif.tobytes()

    def _is_lab(self) -> bool:
        return self._page.photometric in (PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB)

    def load(self) -> Any:
        if self.tile:
            pixels = self._eight_bits(self._samples())
            self.tile = []
            self.im = Image.fromarray(pixels, self._mode).im
        return super().load()

    def _samples(self) -> numpy.ndarray:
        """[H, W, channels], as they are in the file."""
        page = self._page
        # a limit of its own on threads; a picture process has little memory for them
        try:
            samples = page.asarray(maxworkers = 1)
        except DAMAGE as error:
            raise OSError(str(error)) from error
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            samples = numpy.moveaxis(samples, 0, -1)
        samples = samples.reshape(page.imagelength, page.imagewidth, -1)
        return samples[:, :, :CHANNELS[page.photometric] + self._has_alpha]

    def _eight_bits(self, samples: numpy.ndarray) -> numpy.ndarray:
        convert = self._from_lab if self._is_lab() else self._scaled
        self._white = self._find_white(samples)
        shape = (*samples.shape[:2], len(self.getbands()))
        result = numpy.empty(shape, numpy.uint8)
        rows = max(1, BLOCK // (samples.shape[1] * samples.shape[2]))
        for top in range(0, len(samples), rows):
            result[top:top + rows] = convert(samples[top:top + rows])
        return result[:, :, 0] if shape[2] == 1 else result

    def _find_white(self, samples: numpy.ndarray) -> float:
        bits, kind = self._page.bitspersample, samples.dtype.kind
        full = 2**(bits - (kind == 'i')) - 1
        if kind != 'f' and bits <= 16:
            return full
        colours = samples[:, :, :CHANNELS[self._page.photometric]]
        brightest = float(numpy.max(colours, where = numpy.isfinite(colours), initial = 0))
        usual = WHITES if kind == 'f' else (*WHITES, full)
        return next((each for each in usual if brightest <= each), brightest) or 1

    def _scaled(self, samples: numpy.ndarray) -> numpy.ndarray:
        part = numpy.nan_to_num(samples.astype(numpy.float64), posinf = self._white) / self._white
        if self._has_alpha and samples.dtype.kind == 'f':
            # transparency has a white of its own
            part[:, :, -1] = numpy.clip(part[:, :, -1] * self._white, 0, 1)
        if self._page.photometric == PHOTOMETRIC.MINISWHITE:
            part[:, :, 0] = 1 - part[:, :, 0]
        if self.mode == 'CMYK':
            # ink that is laid on nothing is laid on white
            return _to_bytes(part[:, :, :4] * self._cover(part))
        if self._is_premultiplied:
            part[:, :, :-1] /= numpy.maximum(part[:, :, -1:], 1e-9)
        return _to_bytes(part)

    def _cover(self, part: numpy.ndarray) -> numpy.ndarray | float:
        """How opaque ink is, where that is not multiplied in."""
        return part[:, :, 4:] if self._has_alpha and not self._is_premultiplied else 1.0

    def _from_lab(self, samples: numpy.ndarray) -> numpy.ndarray:
        """TIFF 6.0, section 23: a* and b* have a sign; ICC's L*a*b* has an offset instead."""
        bits = self._page.bitspersample
        deep = samples[:, :, :3].astype(numpy.float64)
        light = deep[:, :, 0] * 100 / (2**bits - 1)
        colours = deep[:, :, 1:] / 2**(bits - 8)
        if self._page.photometric == PHOTOMETRIC.CIELAB:
            colours = (colours + 128) % 256
        colours = colours - 128
        result = numpy.empty((*samples.shape[:2], len(self.getbands())), numpy.uint8)
        result[:, :, :3] = cicp.from_lab(light, colours[:, :, 0], colours[:, :, 1])
        if self._has_alpha:
            result[:, :, 3] = samples[:, :, 3] / (2**bits - 1) * 255 + 0.5
        return result


def _to_bytes(part: numpy.ndarray) -> numpy.ndarray:
    return (numpy.clip(part, 0, 1) * 255 + 0.5).astype(numpy.uint8)
