#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Colours told without an ICC profile: as Chromium shows them, and where there is no Chromium, as the standards have them.

Libraries: browser, numpy, Pillow, pillow-heif, pytest.
"""

import io
import struct
import zlib

import browser
import numpy
import pillow_heif
import pytest
from PIL import Image, ImageCms

from modules.photos.reader import PhotoReader

#: white, red, green, blue; x and y
P3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
LINE = (31270, 32900, 10000, 10000, 20000, 20000, 30000, 30000)


@pytest.fixture(scope = 'module')
def page():
    with browser.chromium() as chromium:
        yield chromium.new_page()


@pytest.fixture(scope = 'module')
def ramps():
    """Greys, each colour alone, and colours by chance, from the darkest to the brightest: [6, 64, 3]."""
    steps = numpy.arange(0, 256, 4, numpy.uint8)
    none = numpy.zeros_like(steps)
    chance = numpy.random.default_rng(0).integers(0, 256, (2, 64, 3), numpy.uint8)
    rows = [[steps] * 3, [steps, none, none], [none, steps, none], [none, none, steps]]
    return numpy.concatenate([numpy.stack([numpy.stack(row, 1) for row in rows]), chance])


def png(pixels, *chunks):
    """A PNG with chunks of one's own before the picture."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, 'PNG')
    plain = content.getvalue()
    start = plain.index(b'IDAT') - 4
    more = b''.join(
        struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        for kind, data in chunks)
    return plain[:start] + more + plain[start:]


def cicp(*numbers):
    return b'cICP', bytes(numbers)


def gama(gamma):
    return b'gAMA', struct.pack('>I', round(gamma * 100000))


def chrm(corners):
    return b'cHRM', struct.pack('>8I', *corners)


def avif(pixels, primaries, transfer):
    """An AVIF with these numbers in its ``nclx``, which Pillow writes with those of sRGB."""
    content = io.BytesIO()
    large = numpy.repeat(numpy.repeat(pixels, 8, 0), 4, 1)
    Image.fromarray(large).save(content, 'AVIF', quality = 100, subsampling = '4:4:4', speed = 10)
    changed = bytearray(content.getvalue())
    at = changed.index(b'nclx') + 4
    changed[at:at + 4] = struct.pack('>HH', primaries, transfer)
    return bytes(changed)


def read(folder, content):
    (folder / 'upload').write_bytes(content)
    reader = PhotoReader(10**6)
    reader.check(folder / 'upload')
    return numpy.asarray(reader.read(folder / 'upload').image)


def assert_alike(found, expected, tolerance = 3):
    difference = numpy.abs(found.astype(int) - expected)
    assert difference.max() <= tolerance, numpy.unravel_index(difference.argmax(), difference.shape)


@pytest.mark.parametrize('primaries', [1, 4, 5, 6, 9, 11, 12, 22])
def test_code_points_of_primaries_are_what_chromium_shows(page, tmp_path, ramps, primaries):
    content = png(ramps, cicp(primaries, 13, 0, 1))
    assert_alike(read(tmp_path, content), browser.pixels(page, content, 'image/png'))


@pytest.mark.parametrize('primaries', [1, 9])
@pytest.mark.parametrize('transfer', [1, 4, 5, 6, 7, 8, 14, 15, 16, 17, 18])
def test_code_points_of_curves_are_what_chromium_shows(page, tmp_path, ramps, primaries, transfer):
    content = png(ramps, cicp(primaries, transfer, 0, 1))
    assert_alike(read(tmp_path, content), browser.pixels(page, content, 'image/png'))


LIGHT = {
    'content of 4000': (b'cLLI', struct.pack('>II', 40_000_000, 5_000_000)),
    'content of 400': (b'cLLI', struct.pack('>II', 4_000_000, 500_000)),
    'content of 100': (b'cLLI', struct.pack('>II', 1_000_000, 500_000)),
    'display of 4000': (b'mDCV',
                        struct.pack('>8HII', 35400, 14600, 8500, 39850, 6550, 2300, 15635, 16450,
                                    40_000_000, 1)),
}


@pytest.mark.parametrize('light', LIGHT.values(), ids = LIGHT)
@pytest.mark.parametrize('transfer', [16, 18])
def test_the_brightest_light_bends_the_tone_curve(page, tmp_path, ramps, transfer, light):
    content = png(ramps, cicp(9, transfer, 0, 1), light)
    assert_alike(read(tmp_path, content), browser.pixels(page, content, 'image/png'), 4)


NUMBERS = {
    'linear': (gama(1), ),
    'old Macs': (gama(1 / 1.8), ),
    'nearly sRGB': (gama(0.45), ),
    'gamma of P3': (gama(0.45455), chrm(P3)),
    'gamma and corners of sRGB': (gama(0.45455), chrm(SRGB)),
    'corners alone': (chrm(P3), ),
    'corners on a line': (gama(1), chrm(LINE)),
    'corners without light': (gama(1), chrm((0, ) * 8)),
    'sRGB before gamma': ((b'sRGB', b'\0'), gama(1)),
    'code points before all': ((b'sRGB', b'\0'), gama(1), chrm(SRGB), cicp(12, 13, 0, 1)),
    'reserved code points': (cicp(3, 13, 0, 1), gama(1)),
    'unspecified code points': (cicp(2, 13, 0, 1), gama(1)),
    'code points of a narrow range': (cicp(12, 13, 0, 0), ),
}


@pytest.mark.parametrize('chunks', NUMBERS.values(), ids = NUMBERS)
def test_numbers_in_a_png_are_what_chromium_shows(page, tmp_path, ramps, chunks):
    content = png(ramps, *chunks)
    assert_alike(read(tmp_path, content), browser.pixels(page, content, 'image/png'))


def test_code_points_count_more_than_a_profile(page, tmp_path, ramps):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    named = b'iCCP', b'sRGB\0\0' + zlib.compress(profile)
    content = png(ramps, cicp(12, 13, 0, 1), named)
    assert_alike(read(tmp_path, content), browser.pixels(page, content, 'image/png'))


@pytest.mark.parametrize('kind', ['L', 'P', 'RGBA'])
def test_every_mode_of_a_png_has_its_colours_converted(page, tmp_path, ramps, kind):
    image = Image.fromarray(ramps).convert(kind)
    content = io.BytesIO()
    image.save(content, 'PNG')
    content = content.getvalue()
    start = content.index(b'PLTE' if kind == 'P' else b'IDAT') - 4
    content = png(ramps, gama(1))
    chunk = content[content.index(b'gAMA') - 4:content.index(b'IDAT') - 4]
    content = content[:start] + chunk + content[start:]
    assert_alike(read(tmp_path, content), browser.pixels(page, content, 'image/png'))


@pytest.mark.parametrize(('primaries', 'transfer'), [(1, 13), (1, 1), (12, 13), (12, 1), (12, 2),
                                                     (9, 13), (9, 14), (9, 16), (9, 18), (2, 2),
                                                     (3, 13), (1, 8), (1, 4), (2, 16)])
def test_code_points_of_an_avif_are_what_chromium_shows(page, tmp_path, ramps, primaries, transfer):
    content = avif(ramps, primaries, transfer)
    assert_alike(read(tmp_path, content), browser.pixels(page, content, 'image/avif'))


BOXES = {
    'content of 400': b'\0\0\0\x0cclli' + struct.pack('>HH', 400, 50),
    'display of 4000': b'\0\0\0\x20mdcv' + bytes(16) + struct.pack('>II', 40_000_000, 1)
}


@pytest.mark.parametrize('light', BOXES)
def test_the_brightest_light_is_told_by_an_avif_as_by_a_png(tmp_path, ramps, light):
    found = read(tmp_path, avif(ramps, 9, 16) + BOXES[light])[4::8, 2::4]
    expected = read(tmp_path, png(ramps, cicp(9, 16, 0, 1), LIGHT[light]))
    assert numpy.abs(found.astype(int) - expected).mean() < 1.5
    plain = read(tmp_path, png(ramps, cicp(9, 16, 0, 1)))
    assert numpy.abs(plain.astype(int) - expected).mean() > 1.5


@pytest.mark.parametrize(('codes', 'expected'), [((1, 13), (200, 80, 20)), ((12, 13), (216, 69, 0)),
                                                 ((9, 16), (255, 0, 0))])
@pytest.mark.parametrize('kind', ['PNG', 'AVIF', 'HEIF'])
def test_colours_are_the_same_by_whatever_file_they_come(tmp_path, kind, codes, expected):
    pixels = numpy.full((64, 64, 3), (200, 80, 20), numpy.uint8)
    if kind == 'PNG':
        content = png(pixels, cicp(*codes, 0, 1))
    elif kind == 'AVIF':
        content = avif(pixels, *codes)
    else:
        content = io.BytesIO()
        pillow_heif.from_pillow(Image.fromarray(pixels)).save(
            content,
            color_primaries = codes[0],
            transfer_characteristics = codes[1],
            matrix_coefficients = 6,
            quality = 100,
            chroma = 444,
            save_nclx_profile = True)
        content = content.getvalue()
    assert_alike(read(tmp_path, content)[32, 32], numpy.array(expected), 6)


def test_linear_grey_is_as_bright_as_the_standard_says(tmp_path):
    found = read(tmp_path, png(numpy.full((8, 8, 3), 128, numpy.uint8), gama(1)))
    assert (found == 188).all()


def test_white_paper_of_a_bright_picture_is_not_white_and_its_light_is(tmp_path):
    """PQ 0.58 is 203 cd/m²: half the light of a screen's white, so that what shines finds room above it."""
    levels = numpy.array([[[148] * 3, [192] * 3, [255] * 3]], numpy.uint8)
    found = read(tmp_path, png(levels, cicp(9, 16, 0, 1)))[0, :, 0].tolist()
    assert found == [pytest.approx(188, abs = 2), 255, 255]


def test_a_shrunk_photo_has_its_colours_converted_too(tmp_path):
    content = png(numpy.full((800, 800, 3), (200, 80, 20), numpy.uint8), cicp(12, 13, 0, 1))
    (tmp_path / 'upload').write_bytes(content)
    image = PhotoReader(10**6).read(tmp_path / 'upload', 100 * 100).image
    assert image.width < 800
    assert image.getpixel((9, 9)) == (216, 69, 0)
