#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A person's photo in full, as a JPEG: it is encoded where it is decoded, so that nobody else holds its pixels.

Libraries: Pillow.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

#: of the JPEG; colour is kept at full resolution
QUALITY = 95
#: pixels of a side; libjpeg writes no longer ones
LONGEST_SIDE = 65500


@dataclass(frozen = True)
class Still:
    """The person's own photo, as it goes with the clip."""

    #: JFIF, sRGB, upright, at full resolution, as far as a JPEG goes, in the clip's aspect ratio, with pixels and
    #: nothing else
    jpeg: bytes
    #: width and height
    size: tuple[int, int]
    #: the photo's EXIF, as far as it may be embedded, as :meth:`modules.photos.reader.PhotoReader.exif` gives it
    exif: Mapping[int, Mapping[int, object]] = field(default_factory = dict)


def encode(image: 'Image.Image', exif: Mapping[int, Mapping[int, object]] | None = None) -> Still:
    """
    Make a still of a picture.

    :param image: upright, RGB, sRGB; loses its metadata, and pixels beyond what a JPEG can hold
    :type image: Image.Image
    :param exif: its EXIF, as far as it may be embedded
    :type exif: Mapping[int, Mapping[int, object]] | None
    :return: the still
    :rtype: Still
    """
    # Pillow would carry over comments and the like of the original, which may hold a place
    image.info = {}
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    content = io.BytesIO()
    image.save(content, 'JPEG', quality = QUALITY, subsampling = 0)
    return Still(content.getvalue(), image.size, exif or {})
