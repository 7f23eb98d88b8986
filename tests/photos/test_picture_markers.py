#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Pictures that make more work than any honest one are told before a decoder sees them.

Libraries: Pillow, pytest.
"""

import io
import struct
import zlib

import fuzzing
import pytest
from PIL import Image

from modules import errors
from modules.photos.sandbox import calls
from modules.photos.sandbox.markers import is_laborious
from modules.photos.sandbox.sandbox import Sandbox

SIDE = 3000


def saved(kind = 'JPEG', side = 200, **more):
    content = io.BytesIO()
    Image.effect_mandelbrot((side, side), (-2, -1, 1, 1), 20).save(content, kind, **more)
    return content.getvalue()


def scans(count):
    """A progressive JPEG of which the last scan comes again and again."""
    content = saved(side = SIDE, progressive = True)
    start = content.rindex(b'\xff\xda')
    return content[:-2] + content[start:-2] * count + content[-2:]


def chunk(kind, content = b''):
    return struct.pack('>I', len(content)) + kind + content + struct.pack(
        '>I', zlib.crc32(kind + content))


def with_chunks(count):
    content = saved('PNG')
    return content[:33] + chunk(b'teST') * count + content[33:]


LABORIOUS = {
    'scans': lambda: scans(1000),
    'segments': lambda: b'\xff\xd8' + b'\xff\xe1\0\2' * 1_000_000 + saved()[2:],
    'comments': lambda: saved()[:-2] + b'\xff\xfe\0\2' * 1_000_000 + b'\xff\xd9',
    'marks without a length': lambda: b'\xff\xd8' + b'\xff\1' * 1_000_000 + saved()[2:],
    'filling': lambda: b'\xff\xd8' + b'\xff' * 9_000_000 + saved()[2:],
    'what is no segment': lambda: b'\xff\xd8' + b'x' * 9_000_000 + saved()[2:],
    'chunks': lambda: with_chunks(1_000_000)
}


@pytest.mark.parametrize('name', LABORIOUS)
def test_what_makes_too_much_work_is_refused_at_once(tmp_path, name):
    path = tmp_path / 'upload'
    path.write_bytes(LABORIOUS[name]())
    assert is_laborious(path.read_bytes())
    sandbox = Sandbox(SIDE * SIDE)
    try:
        for function, more in ((calls.check, ()), (calls.show, (1000, ))):
            with pytest.raises(errors.DamagedImage) as caught:
                sandbox.run(function, path, SIDE * SIDE, *more)
            # refused, rather than ended by a limit
            assert caught.value.__cause__ is None
    finally:
        sandbox.close()


def test_the_larger_a_picture_is_the_fewer_scans_it_may_have():
    content = scans(40)
    assert not is_laborious(content)
    # the same scans, of a picture that says it is ten thousand pixels wide and high
    start = content.index(b'\xff\xc2') + 5
    large = content[:start] + struct.pack('>HH', 10_000, 10_000) + content[start + 4:]
    assert is_laborious(large)
    few = saved(side = SIDE, progressive = True)
    start = few.index(b'\xff\xc2') + 5
    assert not is_laborious(few[:start] + struct.pack('>HH', 60_000, 60_000) + few[start + 4:])


def jpeg_profile(size):
    return b'\0\0\0\0' * (size // 4)


HONEST = {
    'progressive': lambda: saved(progressive = True),
    'as many scans as the most careful encoder makes': lambda: scans(30),
    'restarts': lambda: saved(restart_marker_blocks = 1, side = 1000),
    'a large profile': lambda: saved(icc_profile = jpeg_profile(10_000_000)),
    'a long comment': lambda: saved(comment = b'x' * 60_000),
    'another behind it': lambda: saved() + saved(),
    'a movie behind it': lambda: saved() + b'\0\0\0\x18ftyp' + bytes(5_000_000),
    'many chunks with something in them': lambda: saved('PNG', side = 4000, compress_level = 0),
    'no end': lambda: saved()[:-2],
    'nothing': lambda: b'\xff\xd8',
    **{
        kind: lambda kind = kind: fuzzing.originals()[kind]
        for kind in fuzzing.FORMATS
    }
}


@pytest.mark.parametrize('name', HONEST)
def test_what_cameras_and_encoders_make_is_none_of_it(name):
    assert not is_laborious(HONEST[name]())
