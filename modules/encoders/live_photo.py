#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Writes a clip as an Apple Live Photo: a JPEG and a MOV that name each other by one identifier, in a zip that holds
them as a bundle (``X.pvt``) and, opened, as a plain pair.

Libraries: PyAV (through ``mp4``), Pillow (through ``jpeg``).
"""

import plistlib
import struct
import tempfile
import time
import uuid
import zipfile
from pathlib import Path

from modules.encoders import Clip, dated, jpeg, mp4, quicktime, xmp

#: the sum of what Apple's loader of bundles asks for
PLIST = {'PFVideoComplementMetadataVersionKey': '1'}


def encode(clip: Clip, path: Path) -> None:
    """
    Write a Live Photo.

    :param clip: the clip
    :type clip: Clip
    :param path: where to; replaced if there
    :type path: Path
    :raises modules.encoders.UnknownLayout: when a part cannot be completed
    """
    identifier = str(uuid.uuid4()).upper()
    still = clip.still()
    photo = jpeg.to_bytes(still.image, jpeg.exif(still, maker_note(identifier)),
                          xmp.source(xmp.COMPOSITE) if clip.is_generated else None)
    movie = quicktime.paired(
        _movie(clip, path.parent),
        clip.key_index / clip.fps,
        identifier,
        packet = xmp.source(xmp.GENERATED) if clip.is_generated else None)
    name = dated()
    with zipfile.ZipFile(path, 'w') as bundle:
        # a folder of its own entry is what makes phones see the bundle
        _add(bundle, f'{name}.pvt/', b'')
        _add(bundle, f'{name}.pvt/{name}.JPG', photo)
        _add(bundle, f'{name}.pvt/{name}.MOV', movie)
        _add(bundle, f'{name}.pvt/metadata.plist', plistlib.dumps(PLIST))


def maker_note(identifier: str) -> bytes:
    """
    The block in which Apple's cameras keep what EXIF has no place for, with the identifier as its only entry.

    :param identifier: a UUID in capitals, 36 characters
    :type identifier: str
    :return: 69 bytes
    :rtype: bytes
    """
    content_identifier, ascii_type, length, offset = 0x11, 2, len(identifier) + 1, 32
    entry = struct.pack('>HHII', content_identifier, ascii_type, length, offset)
    head = b'Apple iOS\0' + b'\0\1' + b'MM' + struct.pack('>H', 1)
    return head + entry + bytes(4) + identifier.encode() + b'\0'


def _movie(clip: Clip, folder: Path) -> bytes:
    """The clip alone. Without B-frames its first frame is shown at time 0 without any correction."""
    with tempfile.TemporaryDirectory(dir = folder) as room:
        path = Path(room) / 'clip.mov'
        mp4.write(clip, path, 'mov', muxer = {}, encoder = {'bf': '0'})
        return path.read_bytes()


def _add(bundle: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Readable by everybody, and not compressed a second time."""
    entry = zipfile.ZipInfo(name, time.localtime()[:6])
    entry.create_system = 3
    entry.external_attr = (0o40755 << 16 | 0x10) if name.endswith('/') else 0o100644 << 16
    bundle.writestr(entry, content)
