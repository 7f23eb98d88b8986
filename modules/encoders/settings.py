#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How a clip was made, told inside its file as JSON where each kind of file keeps words of any kind: a GIF's comment, an
MP4's ``comment`` tag, and EXIF's UserComment in WebP and JPEG. EXIF rather than XMP, because phones match the XMP of a
Motion Photo letter by letter, and because it is there in every JPEG anyway.

Libraries: none but the standard one.
"""

import json
from collections.abc import Mapping


def to_text(settings: Mapping[str, object]) -> str:
    """
    The words that are put into a file.

    :param settings: what JSON can hold
    :type settings: Mapping[str, object]
    :return: JSON in ASCII, on one line; the same settings give the same words
    :rtype: str
    """
    return json.dumps(settings, allow_nan = False, separators = (', ', ': '))
