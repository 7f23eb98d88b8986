#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
When a photo was taken, by its EXIF: in local time, and in UTC where the time zone is known.

Libraries: none.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from modules.encoders import to_local_time

#: EXIF: the camera's directory, and the dates there and in the first one, each with its time zone
CAMERA = 0x8769
TAKEN, DIGITIZED, MODIFIED = 0x9003, 0x9004, 0x0132
DATES = ((CAMERA, TAKEN, 0x9011), (CAMERA, DIGITIZED, 0x9012), (0, MODIFIED, 0x9010))
#: years that the head of a movie can count the seconds of, from 1904 on
COUNTED = range(1905, 2040)


@dataclass(frozen = True)
class Moment:
    """A date in local time, with a time zone where that is known."""

    date: datetime

    @property
    def utc(self) -> datetime | None:
        """The same by UTC, taking this machine's time zone where none is known; None beyond :data:`COUNTED`."""
        if self.date.year not in COUNTED:
            return None
        return self.date.astimezone(timezone.utc)

    @property
    def quicktime(self) -> str:
        """As Apple's cameras write it (ISO 8601), without a time zone where none is known."""
        return f'{self.date:%Y-%m-%dT%H:%M:%S%z}'


def find_date(exif: Mapping[int, Mapping[int, object]]) -> str | None:
    """
    Find when the photo was taken in its EXIF.

    :param exif: directory → tag → value
    :type exif: Mapping[int, Mapping[int, object]]
    :return: as EXIF has it: ``2019:05:04 12:34:56``
    :rtype: str | None
    """
    return next((date for date, _zone in _dates(exif)), None)


def find_moment(exif: Mapping[int, Mapping[int, object]], created: datetime | None) -> Moment:
    """
    Find when the photo was taken.

    :param exif: directory → tag → value
    :type exif: Mapping[int, Mapping[int, object]]
    :param created: the moment for photos without a date, with its time zone; None is now
    :type created: datetime | None
    :return: the moment
    :rtype: Moment
    """
    for date, zone in _dates(exif):
        try:
            return Moment(
                datetime.strptime(date + zone, '%Y:%m:%d %H:%M:%S' + ('%z' if zone else '')))
        except ValueError:
            # no month has 40 days
            continue
    return Moment(to_local_time(created))


def _dates(exif: Mapping[int, Mapping[int, object]]) -> Iterator[tuple[str, str]]:
    """Dates, the best first, each with its time zone or nothing."""
    for directory, tag, zone_tag in DATES:
        found = exif.get(directory, {})
        date = str(found.get(tag, '')).strip('\0 ')
        zone = str(found.get(zone_tag, '')).strip('\0 ')
        if re.fullmatch(r'[12]\d{3}:\d\d:\d\d \d\d:\d\d:\d\d', date, re.ASCII):
            yield date, zone if re.fullmatch(r'[+-]\d\d:\d\d', zone, re.ASCII) else ''
