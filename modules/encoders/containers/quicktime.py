#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Completes a MOV to the moving part of a Live Photo: adds the identifier it shares with its still, and a track of
timed metadata that marks the still's place. FFmpeg writes neither as Apple reads it.

Layouts: QuickTime File Format (Apple); the metadata track as iPhones write it.

Libraries: none.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from modules.encoders import UnknownLayout

#: keys of movie metadata: what the still has too, and when the photo was taken
IDENTIFIER = 'com.apple.quicktime.content.identifier'
DATE = 'com.apple.quicktime.creationdate'
STILL_TIME_KEY = b'com.apple.quicktime.still-image-time'

#: the one sample: its length, the number of its key, the value -1 in one byte
SAMPLE = struct.pack('>IIb', 9, 1, -1)
#: the value's type: a signed integer of 8 bits
INT8 = 65
#: no language
UNDETERMINED = 0x55C4
IDENTITY = struct.pack('>9I', 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
ONE = 0x10000


@dataclass(frozen = True)
class Box:
    """A box (Apple: atom): where it begins, its kind, and what is in it."""

    start: int
    kind: bytes
    body: bytes


def pair_movie(movie: bytes,
               seconds: float,
               words: Mapping[str, str],
               packet: bytes | None = None) -> bytes:
    """
    Complete a MOV to the counterpart of a still. Its video is left as it is.

    :param movie: a MOV as FFmpeg writes it without ``faststart``: one video track, ``moov`` last, after ``mdat``
    :type movie: bytes
    :param seconds: when the still is shown
    :type seconds: float
    :param words: movie metadata, ASCII: :data:`IDENTIFIER`, and others
    :type words: Mapping[str, str]
    :param packet: an XMP packet to put in
    :type packet: bytes | None
    :return: the completed MOV
    :rtype: bytes
    :raises modules.encoders.UnknownLayout: when the MOV is laid out in another way
    """
    top = list(_read_boxes(movie))
    if [box.kind for box in top] != [b'ftyp', b'wide', b'mdat', b'moov']:
        raise UnknownLayout(f'a MOV of {[box.kind for box in top]}')
    media, index = top[2:]
    # the sample goes to the end of the media data, so that nothing in there moves
    grown = _box(b'mdat', media.body, SAMPLE)
    sample_at = media.start + len(grown) - len(SAMPLE)
    moov = _moov(list(_read_boxes(index.body)), seconds, sample_at, words, packet)
    completed = movie[:media.start] + grown + moov
    _check(completed, sample_at, words)
    return completed


def _read_boxes(data: bytes) -> Iterator[Box]:
    """Boxes that follow one another, in a file or in the body of another box."""
    start = 0
    while start < len(data):
        size, kind = struct.unpack_from('>I4s', data, start) if start + 8 <= len(data) else (0, b'')
        if not 8 <= size <= len(data) - start:
            raise UnknownLayout(
                f'a box {kind!r} of {size} bytes where {len(data) - start} are left')
        yield Box(start, kind, data[start + 8:start + size])
        start += size


def _moov(parts: list[Box], seconds: float, sample_at: int, words: Mapping[str, str],
          packet: bytes | None) -> bytes:
    """The new index: the movie's header, its video track, the metadata track, the movie metadata."""
    kinds = [part.kind for part in parts if part.kind != b'udta']
    if kinds != [b'mvhd', b'trak'] or parts[0].body[0] != 0:
        raise UnknownLayout(f'a moov of {kinds}')
    header, video = parts[0].body, parts[1].body
    timescale, = struct.unpack_from('>I', header, 12)
    first = next(_read_boxes(video))
    if first.kind != b'tkhd' or first.body[0] != 0:
        raise UnknownLayout(f'a track that begins with {first.kind!r}')
    video_id, = struct.unpack_from('>I', first.body, 12)
    # when the movie was made and changed
    dates = header[4:12]
    track = _metadata_track(video_id, timescale, round(seconds * timescale), sample_at, dates)
    return _box(b'moov', _box(b'mvhd', header[:-4], struct.pack('>I', video_id + 2)),
                _box(b'trak', video), track, _metadata(words),
                _box(b'udta', _box(b'XMP_', packet)) if packet else b'')


def _metadata(words: Mapping[str, str]) -> bytes:
    """Movie metadata in QuickTime's own form, which has no version and flags in front."""
    keys = [_box(b'mdta', key.encode()) for key in words]
    values = [
        _box(struct.pack('>I', number), _box(b'data', struct.pack('>II', 1, 0), value.encode()))
        for number, value in enumerate(words.values(), 1)
    ]
    return _box(b'meta', _box(b'hdlr', bytes(8), b'mdta', bytes(14)),
                _box(b'keys', struct.pack('>II', 0, len(keys)), *keys), _box(b'ilst', *values))


def _metadata_track(video_id: int, timescale: int, still: int, sample_at: int,
                    dates: bytes) -> bytes:
    """A track that refers to the video and holds one sample, of one tick, at the still's time."""
    flags = struct.pack('>I', 0x0F)
    header = flags + dates + struct.pack('>3I', video_id + 1, 0, still + 1)
    wait = struct.pack('>IiI', still, -1, ONE) if still else b''
    edits = wait + struct.pack('>IiI', 1, 0, ONE)
    media = bytes(4) + dates + struct.pack('>IIHH', timescale, 1, UNDETERMINED, 0)
    return _box(
        b'trak', _box(b'tkhd', header, bytes(16), IDENTITY, bytes(8)),
        _box(b'edts', _box(b'elst', struct.pack('>II', 0,
                                                len(edits) // 12), edits)),
        _box(b'tref', _box(b'cdsc', struct.pack('>I', video_id))),
        _box(b'mdia', _box(b'mdhd', media), _handler(b'mhlr', b'meta', 1, b'Core Media Metadata'),
             _media_information(sample_at)))


def _media_information(sample_at: int) -> bytes:
    general = struct.pack('>I6H', 0, 0x40, 0x8000, 0x8000, 0x8000, 0, 0)
    itself = _box(b'alis', struct.pack('>I', 1))
    samples = _box(b'stbl', _box(b'stsd', struct.pack('>II', 0, 1), _description()),
                   _box(b'stts', struct.pack('>4I', 0, 1, 1, 1)),
                   _box(b'stsc', struct.pack('>5I', 0, 1, 1, 1, 1)),
                   _box(b'stsz', struct.pack('>3I', 0, len(SAMPLE), 1)),
                   _box(b'stco', struct.pack('>3I', 0, 1, sample_at)))
    return _box(b'minf', _box(b'gmhd', _box(b'gmin', general)),
                _handler(b'dhlr', b'alis', 0, b'Core Media Data Handler'),
                _box(b'dinf', _box(b'dref', struct.pack('>II', 0, 1), itself)), samples)


def _description() -> bytes:
    """What the sample's one key means and which type its value has."""
    key = _box(
        struct.pack('>I', 1), _box(b'keyd', b'mdta', STILL_TIME_KEY),
        _box(b'dtyp', struct.pack('>II', 0, INT8)))
    return _box(b'mebx', bytes(6), struct.pack('>H', 1), _box(b'keys', key))


def _handler(kind: bytes, subtype: bytes, flags: int, name: bytes) -> bytes:
    return _box(b'hdlr', bytes(4), kind, subtype, b'appl', struct.pack('>II', flags, 0),
                bytes([len(name)]), name)


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b''.join(parts)
    if len(body) + 8 > 0xFFFFFFFF:
        raise UnknownLayout(f'{len(body)} bytes in {kind!r}, which need 64 bits to be counted')
    return struct.pack('>I', len(body) + 8) + kind + body


def _check(movie: bytes, sample_at: int, words: Mapping[str, str]) -> None:
    """Check the result as a reader would: sizes add up, sample and words are where they are said to be."""
    index = list(_read_boxes(movie))[-1]
    kinds = [box.kind for box in _read_boxes(index.body) if box.kind != b'udta']
    found = movie[sample_at:sample_at + len(SAMPLE)]
    if kinds != [b'mvhd', b'trak', b'trak', b'meta'] or found != SAMPLE:
        raise UnknownLayout(f'a completed moov of {kinds} with the sample {found.hex()}')
    if any(word.encode() not in index.body for word in words.values()):
        raise UnknownLayout('a completed MOV without its metadata')
