#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How a clip came about: kept beside its frames, embedded in the files made of them, and read out of such files. The
settings stand as JSON in a GIF's comment, an MP4's ``comment`` tag, and EXIF's UserComment in WebP and JPEG. EXIF
rather than XMP, because phones match the XMP of a Motion Photo letter by letter, and because every JPEG has it anyway.

Libraries: Pillow, PyAV.
"""

import base64
import io
import json
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, NoReturn

from PIL import ExifTags, Image
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.WebPImagePlugin import WebPImageFile

from modules.i18n import Text, text

#: bytes that the settings may have, the head of a GIF or JPEG in which they stand, and a file that is read as a whole
LONGEST, LARGEST_HEAD, LARGEST_FILE = 65536, 1 << 20, 1 << 30
#: characters of a parameter above which it is packed, because JPEG holds no more than 64 kB, what says that it is, and
#: the most that is unpacked
LONG, PACKED, MOST_UNPACKED = 4096, 'zlib', 1 << 17
#: how EXIF says that a UserComment is ASCII
ASCII = b'ASCII\0\0\0'
#: what Pillow raises on files that contradict themselves, and zipfile
DAMAGE = (OSError, SyntaxError, ValueError, struct.error, RuntimeError, EOFError,
          Image.DecompressionBombError, zipfile.BadZipFile)


@dataclass(frozen = True)
class Provenance:
    """How frames came about."""

    #: parameters and options that a result depends on, as embedded in files
    settings: dict[str, Any]
    #: when it was asked for, ISO 8601
    created: str
    fps: float
    #: the first frame would follow the last without a jump
    is_closed: bool
    #: a model made up what moves
    is_generated: bool
    #: the first frame is the photo changed on purpose, so that the photo in full would not fit it
    is_photo_changed: bool = False

    @property
    def model(self) -> str | None:
        """The model's name, if one was at work, even if it estimated the depth only."""
        options = self.settings['options']
        names = (section.get('ModelName') for section in options.values())
        return next(filter(None, names), None) or options['ModelOptions'].get('Depth')

    @property
    def output_fps(self) -> float:
        """Frames a second that the owner wanted in files for which each is costly."""
        return self.settings['options']['ModelOptions'].get('OutputFPS', self.fps)

    def write(self, path: Path) -> None:
        """
        Keep it beside frames.

        :param path: the file
        :type path: Path
        """
        path.write_text(json.dumps(asdict(self)), encoding = 'utf-8')

    @classmethod
    def read(cls, path: Path) -> 'Provenance':
        """
        Read what was kept beside frames.

        :param path: a file of :meth:`write`
        :type path: Path
        :return: how they came about
        :rtype: Provenance
        """
        return cls(**json.loads(path.read_text(encoding = 'utf-8')))


class NoSettings(Exception):
    """
    A file has no settings inside, or none that can be understood.

    :param reason: why, in words
    :type reason: Text
    """

    def __init__(self, reason: Text):
        super().__init__(reason.in_('en'))
        self.text = reason


class _Missing(Exception):
    """There are no settings at their place."""


def settings_to_text(settings: Mapping[str, object]) -> str:
    """
    Write settings as they are embedded in a file.

    :param settings: what JSON can hold
    :type settings: Mapping[str, object]
    :return: JSON in ASCII, on one line; the same settings give the same text
    :rtype: str
    """
    return json.dumps(_change_values(settings, _pack), allow_nan = False, separators = (', ', ': '))


def read_settings(path: Path) -> dict[str, object]:
    """
    Read the settings inside a file.

    :param path: a GIF, MP4, WebP, a Live Photo's zip or JPEG, or a Motion Photo
    :type path: Path
    :return: what JSON can hold; nothing in it is validated
    :rtype: dict[str, object]
    :raises NoSettings: when there are none, or the file cannot be read
    """
    try:
        with path.open('rb') as file:
            content = _embedded(file)
    except OSError as error:
        raise NoSettings(
            text('settings.unreadable', path = path, reason = error.strerror or error)) from error
    except _Missing as error:
        raise NoSettings(text('settings.none', path = path)) from error
    try:
        return _parse(content)
    # a number of thousands of digits and a thousand nested brackets are errors of other kinds
    except (ValueError, RecursionError) as error:
        raise NoSettings(text('settings.not_understood', path = path)) from error


def _parse(content: bytes) -> dict[str, object]:
    """JSON as its standard has it."""

    def refuse(word: str) -> NoReturn:
        raise ValueError(f'{word} is no number')

    if len(content) > LONGEST:
        raise ValueError(f'{len(content)} bytes')
    found = json.loads(content.decode('ascii'), parse_constant = refuse)
    if not isinstance(found, dict):
        raise ValueError('settings without names')
    return _change_values(found, _unpack)


def _change_values(settings: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Change the values of parameters, and of the options of each section."""

    def change_table(table: Any) -> Any:
        if not isinstance(table, dict):
            return table
        return {name: change(value) for name, value in table.items()}

    changed = {**settings, 'parameters': change_table(settings.get('parameters'))}
    options = settings.get('options')
    if isinstance(options, dict):
        changed['options'] = {name: change_table(table) for name, table in options.items()}
    return {name: changed[name] for name in settings}


def _pack(value: Any) -> Any:
    # a character may be six bytes of ASCII, or twelve
    if not isinstance(value, str) or len(json.dumps(value)) <= LONG:
        return value
    return {PACKED: base64.b64encode(zlib.compress(value.encode(), 9)).decode()}


def _unpack(value: Any) -> Any:
    if not isinstance(value, dict) or list(value) != [PACKED]:
        return value
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(
            base64.b64decode(str(value[PACKED]), validate = True), MOST_UNPACKED)
    except zlib.error as error:
        raise ValueError('damaged') from error
    if not unpacker.eof:
        raise ValueError('too long, or broken off')
    return content.decode()


def _embedded(file: BinaryIO) -> bytes:
    """The bytes at the place for settings, in a file of any kind known here."""
    head = file.read(12)
    file.seek(0)
    for start, signature, read in KINDS:
        if head.startswith(signature, start):
            try:
                with warnings.catch_warnings():
                    # that a file is damaged is no news, but a reason
                    warnings.simplefilter('ignore')
                    found = read(file)
            except DAMAGE as error:
                raise _Missing(str(error)) from error
            if isinstance(found, bytes):
                return found
    raise _Missing('no settings')


def _in_gif(file: BinaryIO) -> Any:
    with GifImageFile(io.BytesIO(file.read(LARGEST_HEAD))) as image:
        return image.info.get('comment')


def _in_mp4(file: BinaryIO) -> Any:
    # the command line reads this file's names, and starts without libraries that are broken too
    import av
    try:
        with av.open(file, format = 'mp4', metadata_errors = 'replace') as movie:
            return movie.metadata.get('comment', '').encode() or None
    except av.FFmpegError as error:
        raise _Missing(str(error)) from error


def _in_webp(file: BinaryIO) -> Any:
    # Pillow reads it as a whole
    if os.fstat(file.fileno()).st_size > LARGEST_FILE:
        return None
    with WebPImageFile(file) as image:
        return _user_comment(image)


def _in_jpeg(file: IO[bytes]) -> Any:
    with JpegImageFile(io.BytesIO(file.read(LARGEST_HEAD))) as image:
        return _user_comment(image)


def _in_zip(file: BinaryIO) -> Any:
    with zipfile.ZipFile(file) as bundle:
        for entry in bundle.infolist():
            # ours are stored as they are; what unpacks to something else is a stranger's
            if entry.filename.endswith('.JPG') and entry.compress_type == zipfile.ZIP_STORED:
                with bundle.open(entry) as photo:
                    return _in_jpeg(photo)
    return None


def _user_comment(image: JpegImageFile | WebPImageFile) -> bytes | None:
    found = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    if not isinstance(found, bytes) or not found.startswith(ASCII):
        return None
    return found[len(ASCII):]


#: where a kind of file shows what it is, by which bytes, and what finds the settings in it
KINDS: tuple[tuple[int, bytes, Callable[[Any], Any]], ...] = (
    (0, b'GIF89a', _in_gif),
    (4, b'ftyp', _in_mp4),
    (8, b'WEBP', _in_webp),
    (0, b'PK\3\4', _in_zip),
    (0, b'\xff\xd8\xff', _in_jpeg),
)
