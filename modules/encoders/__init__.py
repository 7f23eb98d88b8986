#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What writes clips. Adding a format: copy a sibling, add a line to :data:`TABLE`, copy its test.

Libraries: numpy, Pillow (in the encoders themselves).
"""

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from modules.encoders.frames import Frames
from modules.photos.stills import Still, encode

if TYPE_CHECKING:
    from modules.i18n import Text


class UnknownLayout(ValueError):
    """A library has written a file in a way that is not known here, so it cannot be completed."""


@dataclass(frozen = True)
class Clip:
    """A moving picture before it is a file."""

    #: uint8 [T, H, W, 3], sRGB; H and W are even
    frames: Frames
    #: frames a second
    fps: float
    #: reads the photo at full resolution, for the formats that hold it; without one, the frame at the key index is it
    read_still: Callable[[], Still] | None = None
    #: the frame that is the photo
    key_index: int = 0
    #: a model made up what moves; files say so in XMP
    is_generated: bool = False
    #: how it was made, ASCII, to be embedded in the file
    settings: str | None = None
    #: when it was asked for, with its time zone; None is now
    created: datetime | None = None
    #: most bytes a GIF may have; 0 is no limit
    max_bytes: int = 0

    def still(self) -> Still:
        """
        The still that goes with the clip.

        :return: the photo at full resolution
        :rtype: Still
        :raises modules.errors.Refusal: when the photo cannot be read any more
        """
        if self.read_still:
            return self.read_still()
        from PIL import Image
        return encode(Image.fromarray(self.frames[self.key_index]))


@dataclass(frozen = True)
class Format:
    """A kind of file, and the module whose ``encode(clip, path)`` writes it."""

    module: str
    extension: str
    mime_type: str
    #: it holds a still besides the clip, which is played once and has its place for the still
    has_still: bool = False
    #: phones expect a name of their own kind, made of the time
    is_dated: bool = False
    #: it costs much for every frame, so the owner says how many a second it has at most
    has_own_rate: bool = False

    def encode(self, clip: Clip, path: Path) -> 'Text | None':
        """
        Write a clip.

        :param clip: the clip
        :type clip: Clip
        :param path: where to; replaced if there
        :type path: Path
        :return: what was given up, or None
        :rtype: Text | None
        """
        return importlib.import_module(self.module).encode(clip, path)

    def name(self, stem: str, created: datetime | None = None, identity: str = '') -> str:
        """
        How the file is called when it is downloaded.

        :param stem: the photo's own name, without its ending
        :type stem: str
        :param created: when the clip was asked for, with its time zone; None is now
        :type created: datetime | None
        :param identity: of the job, so that clips of one second differ
        :type identity: str
        :return: the name
        :rtype: str
        """
        return (camera_name(created, identity) if self.is_dated else stem) + self.extension


def to_local_time(created: datetime | None) -> datetime:
    """
    Convert a moment to local time, which is what cameras write into their files.

    :param created: the moment, with its time zone; None is now
    :type created: datetime | None
    :return: the same moment in the time zone of this machine
    :rtype: datetime
    """
    return (created or datetime.now(timezone.utc)).astimezone()


def camera_name(created: datetime | None = None, identity: str = '') -> str:
    """
    Make a file name as cameras give it.

    :param created: the moment in the name, with its time zone; None is now
    :type created: datetime | None
    :param identity: what distinguishes it from others of the same second, in six digits, the same for the same identity
    :type identity: str
    :return: ``IMG_`` with the date and the time, and those digits where there is an identity
    :rtype: str
    """
    number = int(hashlib.sha256(identity.encode()).hexdigest(), 16) % 10**6
    return f'IMG_{to_local_time(created):%Y%m%d_%H%M%S}' + (f'_{number:06}' if identity else '')


#: name → format, in the order in which people want them: so they are offered everywhere
TABLE = {
    'live-photo':
    Format('modules.encoders.live_photo', '.pvt.zip', 'application/zip', has_still = True),
    'motion-photo':
    Format(
        'modules.encoders.motion_photo', '_MP.jpg', 'image/jpeg', has_still = True,
        is_dated = True),
    'gif':
    Format('modules.encoders.gif.encoder', '.gif', 'image/gif', has_own_rate = True),
    'mp4':
    Format('modules.encoders.mp4', '.mp4', 'video/mp4'),
    'webp':
    Format('modules.encoders.webp', '.webp', 'image/webp'),
}
