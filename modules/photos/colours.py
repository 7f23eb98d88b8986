#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a decoded picture's numbers stand for → opaque sRGB of 8 bits.

Libraries: Pillow, pillow-heif.
"""

import io
import logging
import re
import struct
from typing import BinaryIO, cast

import pillow_heif
from PIL import Image, ImageCms

from modules.photos import cicp
from modules.photos.cicp import Encoding

logger = logging.getLogger(__name__)

#: H.273's numbers of cameras' curves, which viewers of AVIF and HEIF take for sRGB's
CAMERAS = (1, 6, 14, 15)
#: boxes of HEIF and AVIF that give cd/m² of the brightest light, or tenths of thousandths of the display's
CONTENT_LIGHT = re.compile(rb'\0\0\0\x0cclli(..)', re.DOTALL)
MASTERING = re.compile(rb'\0\0\0\x20mdcv.{16}(....)', re.DOTALL)
#: bytes within which they stand
HEIF_HEAD = 1 << 16
#: PNG's chunks for light: code points, the brightest light, the display it was made on
CODES, LIGHT, MASTERED = b'cICP', b'cLLI', b'mDCV'
#: chunks read to find them; there is no more than a dozen before the pixels of an honest file
MOST_CHUNKS = 1000
#: how far a PNG's gamma may be from sRGB's to be taken for it
SRGB_GAMMAS = (0.95 / 2.2, 1.05 / 2.2)


def find_encoding(image: Image.Image, file: BinaryIO) -> Encoding | None:
    """
    Find the encoding of a picture's colours where no ICC profile gives it.

    :param image: the picture, opened; nothing need be decoded
    :type image: Image.Image
    :param file: its content
    :type file: BinaryIO
    :return: None where none is given, or it is sRGB anyway
    :rtype: Encoding | None
    """
    found = None
    if image.format == 'PNG':
        found = _of_png(image, file)
    elif image.info.get('icc_profile'):
        return None
    elif image.format == 'AVIF':
        found = _of_heif(_avif_info(file), file)
    elif image.format == 'HEIF':
        found = _of_heif(image.info, file)
    return None if found is None or found.is_srgb else found


def to_eight_bits(image: Image.Image) -> Image.Image:
    """
    Scale greys of 16 bits, 32 bits and floats, instead of cutting them off.

    :param image: the picture, decoded
    :type image: Image.Image
    :return: the same with 8 bits a channel, and with its ``info``
    :rtype: Image.Image
    """
    if not image.mode.startswith(('I', 'F')):
        return image
    if image.mode.startswith('I;16'):
        white: float = 65535
    else:
        # files do not say which value means white
        brightest = cast(float, image.getextrema()[1])
        white = next((usual for usual in (1, 255, 65535) if brightest <= usual), brightest)
    info = image.info
    deep = image.convert('I') if image.mode.startswith('I;') else image
    image = deep.convert('F').point(lambda value: value * (255 / white) + 0.5).convert('L')
    image.info = info
    # the grey that means transparent has become another one too
    if isinstance(info.get('transparency'), int):
        image.info = {**info, 'transparency': round(info['transparency'] * 255 / white)}
    return image


def to_srgb(image: Image.Image, encoding: Encoding | None = None) -> Image.Image:
    """
    Lay transparency on white and convert colours.

    :param image: the picture, 8 bits a channel
    :type image: Image.Image
    :param encoding: from :func:`find_encoding`; it counts more than an ICC profile
    :type encoding: Encoding | None
    :return: opaque sRGB
    :rtype: Image.Image
    """
    profile = image.info.get('icc_profile')
    if image.has_transparency_data:
        layered = image.convert('RGBA')
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'),
                                      layered).convert('RGB')
    if encoding:
        return cicp.to_srgb(image.convert('RGB'), encoding)
    if profile:
        try:
            return _by_profile(image, profile)
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            logger.info('A colour profile that cannot be applied: %s', error)
    return image.convert('RGB')


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = {
        'GRAY': 'L',
        'CMYK': 'CMYK',
        'Lab ': 'LAB'
    }.get(source.profile.xcolor_space.strip(), 'RGB')
    converted = ImageCms.profileToProfile(
        image.convert(mode) if image.mode != mode else image,
        source,
        ImageCms.createProfile('sRGB'),
        renderingIntent = ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode = 'RGB',
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION)
    # None is for conversions in place
    return cast(Image.Image, converted)


def _avif_info(file: BinaryIO) -> dict:
    """The properties in the container, which is HEIF's; Pillow's decoder does not give them."""
    file.seek(0)
    try:
        return pillow_heif.HeifFile(file).info
    except (OSError, SyntaxError, ValueError, RuntimeError, EOFError) as error:
        logger.info('AVIF whose colour properties cannot be read: %s', error)
        return {}


def _of_heif(info: dict, file: BinaryIO) -> Encoding | None:
    codes = info.get('nclx_profile')
    if not codes:
        return None
    transfer = codes['transfer_characteristics']
    file.seek(0)
    head = file.read(HEIF_HEAD)
    content, mastered = CONTENT_LIGHT.search(head), MASTERING.search(head)
    brightest = struct.unpack('>H', content[1])[0] if content else 0
    if not brightest and mastered:
        brightest = struct.unpack('>I', mastered[1])[0] / 10000
    return cicp.find_coded_encoding(codes['color_primaries'],
                                    cicp.SRGB if transfer in CAMERAS else transfer, brightest)


def _of_png(image: Image.Image, file: BinaryIO) -> Encoding | None:
    """``cICP`` before ICC profiles before ``sRGB`` before ``gAMA``, as the PNG Specification (third edition) has it."""
    chunks = _png_chunks(file)
    primaries, transfer, matrix, full_range = chunks.get(CODES, b'').ljust(4, b'\0')[:4]
    found = None
    if matrix == 0 and full_range == 1 and 2 not in (primaries, transfer):
        found = cicp.find_coded_encoding(primaries, transfer, _brightest(chunks))
    if found or image.info.get('icc_profile') or 'srgb' in image.info:
        return found
    gamma, corners = image.info.get('gamma'), image.info.get('chromaticity')
    if not gamma or (not corners and SRGB_GAMMAS[0] < gamma < SRGB_GAMMAS[1]):
        return None
    # white first
    points = (*corners[2:], *corners[:2]) if corners else cicp.BT709
    return Encoding(points, None, 1 / gamma) if cicp.are_valid_primaries(points) else None


def _png_chunks(file: BinaryIO) -> dict[bytes, bytes]:
    """Those of :data:`CODES`, :data:`LIGHT` and :data:`MASTERED` that stand before the pixels."""
    file.seek(8)
    found = {}
    for _ in range(MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b'IDAT', b'IEND'):
            break
        length, kind = struct.unpack('>I4s', head)
        if kind in (CODES, LIGHT, MASTERED) and length < 64:
            found[kind] = file.read(length)
            length = 0
        file.seek(length + 4, io.SEEK_CUR)
    return found


def _brightest(chunks: dict[bytes, bytes]) -> float:
    """cd/m² of the brightest light, else of the display; 0 where neither is given."""
    light, mastered = chunks.get(LIGHT, b''), chunks.get(MASTERED, b'')
    level = int.from_bytes(light[:4], 'big') if len(light) == 8 else 0
    if not level and len(mastered) == 24:
        level = int.from_bytes(mastered[16:20], 'big')
    return level / 10000
