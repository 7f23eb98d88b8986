#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
JPEGs without their end mark: whole ones are read to the same pixels, whatever stands behind them; cut ones are refused.

Libraries: numpy, Pillow, pytest.
"""

import io
import random
import struct

import numpy
import pytest
from PIL import Image

from modules import errors
from modules.photos.reader import PhotoReader

END = b'\xff\xd9'
#: what phones and accidents leave behind a picture
MOVIE = b'\0\0\0\x18ftypisom\0\0\2\0isommp41' + random.Random(1).randbytes(20000)
SAMSUNG = b'\0\x00\x30\x0a\x10\0\0\0MotionPhoto_Data' + MOVIE + b'SEFH\x6b\0\0\0SEFT'
BEHIND = {
    'nothing': b'',
    'a movie': MOVIE,
    "Samsung's blocks": SAMSUNG,
    'zeros': bytes(5000),
    'ones': b'\xff' * 5000
}
#: what a stranger's program may leave
ANYTHING = {'chance': random.Random(2).randbytes(20000), 'words': b'what somebody wrote. ' * 500}
KINDS = {
    'baseline': {},
    'progressive': {
        'progressive': True
    },
    'restarts': {
        'restart_marker_blocks': 5
    },
    'full colour': {
        'subsampling': 0
    },
    'own tables': {
        'optimize': True
    }
}


@pytest.fixture(scope = 'module')
def reader():
    return PhotoReader(10**6)


def picture(mode = 'RGB'):
    """Soft shapes with some noise, so that no part is like another."""
    y, x = numpy.mgrid[0:240, 0:320]
    noise = numpy.random.default_rng(1).normal(0, 4, (240, 320))
    planes = [128 + 90 * numpy.sin(x / (20 + 9 * n)) * numpy.cos(y / 31) + noise for n in range(3)]
    return Image.fromarray(numpy.stack(planes, 2).clip(0, 255).astype(numpy.uint8)).convert(mode)


def jpeg(image, **options):
    content = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = 'a description'
    image.save(content, 'JPEG', quality = 85, exif = exif, **options)
    assert content.getvalue().endswith(END)
    return content.getvalue()


def read(reader, folder, content):
    path = folder / 'upload'
    path.write_bytes(content)
    reader.check(path)
    return numpy.asarray(reader.read(path).image)


@pytest.mark.parametrize('behind', [*BEHIND, *ANYTHING])
@pytest.mark.parametrize('kind', KINDS)
def test_a_whole_jpeg_without_its_end_mark_is_read(reader, tmp_path, kind, behind):
    content = jpeg(picture(), **KINDS[kind])
    trailer = {**BEHIND, **ANYTHING}[behind]
    found = read(reader, tmp_path, content.removesuffix(END) + trailer)
    assert (found == read(reader, tmp_path, content)).all()


@pytest.mark.parametrize('mode', ['L', 'CMYK'])
def test_whatever_colours_it_has(reader, tmp_path, mode):
    content = jpeg(picture(mode))
    found = read(reader, tmp_path, content.removesuffix(END) + SAMSUNG)
    assert (found == read(reader, tmp_path, content)).all()


@pytest.mark.parametrize('options', [{}, {'optimize': True}, {'progressive': True}])
def test_a_picture_of_one_colour_is_read_although_its_data_look_like_nothing(
        reader, tmp_path, options):
    content = jpeg(Image.new('RGB', (333, 217), (128, ) * 3), **options)
    for trailer in (b'', SAMSUNG):
        found = read(reader, tmp_path, content.removesuffix(END) + trailer)
        assert found.shape == (217, 333, 3)
        assert numpy.abs(found.astype(int) - 128).max() < 3


@pytest.mark.parametrize('behind', BEHIND)
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('lost', [3, 30, 300, 3000, 0.5])
def test_a_picture_that_lacks_a_part_is_refused(reader, tmp_path, kind, behind, lost):
    content = jpeg(picture(), **KINDS[kind]).removesuffix(END)
    lost = lost if lost >= 1 else len(content) // 2
    with pytest.raises(errors.DamagedImage):
        read(reader, tmp_path, content[:-lost] + BEHIND[behind])


@pytest.mark.parametrize('behind', ANYTHING)
@pytest.mark.parametrize('kind', KINDS)
def test_rows_are_not_made_of_what_stands_behind(reader, tmp_path, kind, behind):
    content = jpeg(picture(), **KINDS[kind])
    with pytest.raises(errors.DamagedImage):
        read(reader, tmp_path, content[:len(content) // 2] + ANYTHING[behind])


def test_the_size_is_looked_at_before_a_part_is_looked_for(tmp_path):
    content = jpeg(picture()).removesuffix(END)
    (tmp_path / 'upload').write_bytes(content[:len(content) // 2])
    with pytest.raises(errors.TooManyPixels):
        PhotoReader(1000).check(tmp_path / 'upload')


def test_the_end_mark_of_a_thumbnail_is_not_that_of_the_picture(reader, tmp_path):
    """EXIF holds a small JPEG with an end mark of its own."""
    thumbnail = io.BytesIO()
    picture().resize((32, 24)).save(thumbnail, 'JPEG')
    at = 8 + 2 + 4
    entries = struct.pack('<HHHIIHHII', 2, 0x201, 4, 1, at + 2 + 24 + 4, 0x202, 4, 1,
                          len(thumbnail.getvalue()))
    exif = b'Exif\0\0II*\0' + struct.pack('<IHI', 8, 0,
                                          at) + entries + bytes(4) + thumbnail.getvalue()
    content = io.BytesIO()
    picture().save(content, 'JPEG', exif = exif)
    content = content.getvalue()
    assert content.count(END) == 2
    whole = read(reader, tmp_path, content)
    assert (read(reader, tmp_path, content.removesuffix(END)) == whole).all()
    with pytest.raises(errors.DamagedImage):
        read(reader, tmp_path, content[:-3000])


def test_what_such_a_jpeg_tells_of_itself_is_kept(reader, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, 'a camera'
    content = io.BytesIO()
    picture().save(content, 'JPEG', exif = exif)
    (tmp_path / 'upload').write_bytes(content.getvalue().removesuffix(END) + SAMSUNG)
    assert reader.read(tmp_path / 'upload').full_size == (240, 320)
    assert reader.exif(tmp_path / 'upload')[0][0x010F] == 'a camera'


@pytest.mark.parametrize('pixels', [100 * 100, 40 * 40])
def test_it_is_decoded_at_a_fraction_of_its_size(reader, tmp_path, pixels):
    content = jpeg(picture())
    (tmp_path / 'upload').write_bytes(content.removesuffix(END) + SAMSUNG)
    photo = reader.read(tmp_path / 'upload', pixels)
    assert photo.full_size == (320, 240)
    assert photo.image.width < 320


def test_the_first_picture_of_several_may_lack_it(reader, tmp_path):
    first, second = jpeg(picture()), jpeg(Image.new('RGB', (320, 240)))
    found = read(reader, tmp_path, first.removesuffix(END) + second)
    assert (found == read(reader, tmp_path, first)).all()
