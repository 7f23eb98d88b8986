#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Writes a clip as an Apple Live Photo: a JPEG and a MOV that name each other by one identifier, in a zip that holds
them as a bundle (``X.pvt``) and, opened, as a plain pair.

Libraries: PyAV (through ``mp4``), Pillow (through ``jpeg``).
"""

import hashlib
import plistlib
import struct
import tempfile
import uuid
import zipfile
from datetime import datetime
from pathlib import Path

from modules.encoders import Clip, Still, camera_name, mp4, to_local_time
from modules.encoders.containers import jpeg, moments, quicktime, xmp
from modules.i18n import Text

#: the sum of what Apple's loader of bundles asks for
PLIST = {'PFVideoComplementMetadataVersionKey': '1'}
#: within which identifiers made of settings and photos differ
FAMILY = uuid.UUID('6f0a7b2e-94a3-4bb0-8d3c-5c1f2b7e9a44')


def encode(clip: Clip, path: Path) -> Text | None:
    """
    Write a Live Photo.

    :param clip: the clip
    :type clip: Clip
    :param path: where to; replaced if there
    :type path: Path
    :return: what was given up
    :rtype: Text | None
    :raises modules.encoders.UnknownLayout: when a part cannot be completed
    """
    still = clip.still()
    identifier = identify(still, clip.settings)
    tiff = jpeg.make_exif(
        still, make_maker_note(identifier), created = clip.created, comment = clip.settings)
    photo = jpeg.embed_metadata(
        still, tiff,
        xmp.make_source_packet(xmp.COMPOSITE) if clip.is_generated else None)
    moment = moments.find_moment(still.exif, clip.created)
    movie, given_up = _movie(clip, moment, path.parent)
    movie = quicktime.pair_movie(
        movie,
        clip.key_index / clip.fps, {
            quicktime.IDENTIFIER: identifier,
            quicktime.DATE: moment.quicktime
        },
        packet = xmp.make_source_packet(xmp.GENERATED) if clip.is_generated else None)
    name, when = camera_name(clip.created, identifier), to_local_time(clip.created)
    with zipfile.ZipFile(path, 'w') as bundle:
        # a folder of its own entry is what makes phones see the bundle
        _add(bundle, when, f'{name}.pvt/')
        _add(bundle, when, f'{name}.pvt/{name}.JPG', *photo)
        _add(bundle, when, f'{name}.pvt/{name}.MOV', movie)
        _add(bundle, when, f'{name}.pvt/metadata.plist', plistlib.dumps(PLIST))
    return given_up


def identify(still: Still, settings: str | None) -> str:
    """
    Make the identifier that photo and movie share. The same photo with the same settings gets the same one, so that a
    file made again is the same file; without settings nothing is known to be the same.

    :param still: the photo
    :type still: Still
    :param settings: the settings, as they are embedded in the file
    :type settings: str | None
    :return: a UUID in capitals
    :rtype: str
    """
    if not settings:
        return str(uuid.uuid4()).upper()
    seen = hashlib.sha256(f'{still.size} {settings}'.encode())
    seen.update(still.jpeg)
    return str(uuid.uuid5(FAMILY, seen.hexdigest())).upper()


def make_maker_note(identifier: str) -> bytes:
    """
    Make the maker note of Apple's cameras, with the identifier as its only entry.

    :param identifier: a UUID in capitals, 36 characters
    :type identifier: str
    :return: 69 bytes
    :rtype: bytes
    """
    content_identifier, ascii_type, length, offset = 0x11, 2, len(identifier) + 1, 32
    entry = struct.pack('>HHII', content_identifier, ascii_type, length, offset)
    head = b'Apple iOS\0' + b'\0\1' + b'MM' + struct.pack('>H', 1)
    return head + entry + bytes(4) + identifier.encode() + b'\0'


def _movie(clip: Clip, moment: moments.Moment, folder: Path) -> tuple[bytes, Text | None]:
    """The clip alone."""
    date = {'creation_time': f'{moment.utc:%Y-%m-%dT%H:%M:%SZ}'} if moment.utc else {}
    with tempfile.TemporaryDirectory(dir = folder) as scratch:
        path = Path(scratch) / 'clip.mov'
        given_up = mp4.write(clip, path, mp4.MOV, date)
        return path.read_bytes(), given_up


def _add(bundle: zipfile.ZipFile, when: datetime, name: str, *parts: bytes | memoryview) -> None:
    """Readable by everybody, and not compressed a second time."""
    entry = zipfile.ZipInfo(name, when.timetuple()[:6])
    entry.create_system = 3
    entry.external_attr = (0o40755 << 16 | 0x10) if name.endswith('/') else 0o100644 << 16
    entry.file_size = sum(map(len, parts))
    with bundle.open(entry, 'w') as file:
        for part in parts:
            file.write(part)
