#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
TIFF of every depth, order and layout, and cameras' raw files: read right, or refused by the name of their kind.

Libraries: numpy, Pillow, pytest, tifffile.
"""

import io
import struct
import subprocess

import numpy
import pytest
import tifffile
from PIL import Image, ImageCms

from modules import errors
from modules.photos.reader import PhotoReader

WIDTH, HEIGHT = 96, 64
#: tags of previews inside raw files
PREVIEW, PREVIEW_LENGTH, DNG_VERSION = 513, 514, 50706


@pytest.fixture(scope = 'module')
def reader():
    return PhotoReader(10**6)


def shades(width = WIDTH, height = HEIGHT):
    """A picture in parts of white, no corner of which is like another: [H, W, 3]."""
    y, x = numpy.mgrid[0:height, 0:width]
    squares = ((x // 12 + y // 12) % 2) * 0.6 + 0.2
    return numpy.stack([x / (width - 1), y / (height - 1), squares], 2)


def as_kind(parts, kind):
    kind = numpy.dtype(kind)
    if kind.kind == 'f':
        return parts.astype(kind)
    return numpy.round(parts * numpy.iinfo(kind).max).astype(kind)


def tiff(pixels, **options):
    content = io.BytesIO()
    tifffile.imwrite(content, pixels, metadata = None, **options)
    return content.getvalue()


def read(reader, content, pixels = None):
    reader.check(io.BytesIO(content))
    return reader.read(io.BytesIO(content), pixels)


def assert_shows(reader, content, parts, tolerance = 1):
    found = numpy.asarray(read(reader, content).image).astype(int)
    assert numpy.abs(found - numpy.round(parts * 255)).max() <= tolerance


KINDS = ['uint8', 'uint16', 'uint32', 'int16', 'float16', 'float32', 'float64']


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('layout', ['contig', 'separate'])
@pytest.mark.parametrize('kind', KINDS)
def test_colours_of_every_depth(reader, kind, layout, order):
    pixels = as_kind(shades(), kind)
    pixels = numpy.moveaxis(pixels, 2, 0) if layout == 'separate' else pixels
    for packed in (None, 'zlib'):
        content = tiff(
            pixels,
            photometric = 'rgb',
            planarconfig = layout,
            byteorder = order,
            compression = packed)
        assert_shows(reader, content, shades())


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('kind', KINDS)
def test_greys_of_every_depth(reader, kind, order):
    grey = shades()[:, :, 0]
    content = tiff(as_kind(grey, kind), photometric = 'minisblack', byteorder = order)
    assert_shows(reader, content, grey[:, :, None])


@pytest.mark.parametrize('layout', ['contig', 'separate'])
@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('kind', KINDS)
def test_transparency_of_every_depth_is_laid_on_white(reader, kind, channels, layout):
    parts, cover = shades()[:, :, :channels], numpy.ones((HEIGHT, WIDTH, 1))
    cover[:, :WIDTH // 2] = 0.5
    pixels = as_kind(numpy.concatenate([parts, cover], 2), kind)
    content = tiff(
        numpy.moveaxis(pixels, 2, 0) if layout == 'separate' else pixels,
        photometric = 'rgb' if channels == 3 else 'minisblack',
        planarconfig = layout,
        extrasamples = ['unassalpha'])
    assert_shows(reader, content, parts * cover + 1 - cover, 2)


@pytest.mark.parametrize('packed', [None, 'zlib'])
@pytest.mark.parametrize('layout', ['contig', 'separate'])
@pytest.mark.parametrize('channels', [1, 3, 4])
@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'uint32', 'float32'])
def test_channels_beside_the_colours(reader, kind, channels, layout, packed):
    inks = {1: 'minisblack', 3: 'rgb', 4: 'separated'}[channels]
    parts = numpy.concatenate([shades(), numpy.zeros((HEIGHT, WIDTH, 1))], 2)[:, :, :channels]
    cover = numpy.where(numpy.arange(WIDTH) < WIDTH // 2, 0.5, 1)
    cover = numpy.broadcast_to(cover[None, :, None], (HEIGHT, WIDTH, 1))
    white = 0 if channels == 4 else 1
    # unknown ones are no transparency, and what is multiplied in is not multiplied once more
    laid = {'unspecified': parts, 'unassalpha': parts * cover + white * (1 - cover)}
    laid['assocalpha'] = laid['unassalpha']
    for more, expected in laid.items():
        stored = parts * cover if more == 'assocalpha' else parts
        pixels = as_kind(numpy.concatenate([stored, cover, cover], 2), kind)
        for count in (1, 2):
            part = pixels[:, :, :channels + count]
            content = tiff(
                numpy.moveaxis(part, 2, 0) if layout == 'separate' else part,
                photometric = inks,
                planarconfig = layout,
                compression = packed,
                extrasamples = [more, 'unspecified'][:count])
            shown = 1 - expected[:, :, :3] if channels == 4 else expected
            assert_shows(reader, content, shown, 3)


def test_transparency_that_is_multiplied_in(reader):
    cover = numpy.full((HEIGHT, WIDTH, 1), 0.5)
    pixels = as_kind(numpy.concatenate([shades()[:, :, :1] * cover, cover], 2), 'float32')
    content = tiff(pixels, photometric = 'minisblack', extrasamples = ['assocalpha'])
    assert_shows(reader, content, shades()[:, :, :1] * cover + 1 - cover, 2)


@pytest.mark.parametrize('layout', ['contig', 'separate'])
@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'float32'])
def test_big_ones_of_either_order_and_tiles(reader, kind, layout):
    pixels = as_kind(shades(), kind)
    pixels = numpy.moveaxis(pixels, 2, 0) if layout == 'separate' else pixels
    for order in ('<', '>'):
        content = tiff(
            pixels,
            photometric = 'rgb',
            planarconfig = layout,
            bigtiff = True,
            byteorder = order,
            tile = (32, 32))
        assert_shows(reader, content, shades())


@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'uint32', 'float32'])
def test_white_may_be_nothing(reader, kind):
    grey = shades()[:, :, 0]
    content = tiff(as_kind(1 - grey, kind), photometric = 'miniswhite')
    assert_shows(reader, content, grey[:, :, None])


def test_twelve_bits_are_refused_by_name_and_not_shown_dark(reader):
    content = tiff(as_kind(shades()[:, :, 0], 'uint16'), photometric = 'minisblack')
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        at = file.pages[0].tags['BitsPerSample'].valueoffset
    changed = bytearray(content)
    struct.pack_into('<H', changed, at, 12)
    with pytest.raises(errors.UnknownKind, match = '12 bit'):
        reader.check(io.BytesIO(changed))


def test_what_is_no_number_is_black_and_what_has_no_end_is_white(reader):
    pixels = numpy.full((HEIGHT, WIDTH), 0.5, numpy.float32)
    pixels[0, :3] = numpy.nan, numpy.inf, -numpy.inf
    image = read(reader, tiff(pixels, photometric = 'minisblack')).image
    assert [image.getpixel((x, 0))[0] for x in range(4)] == [0, 255, 0, 128]


@pytest.mark.parametrize('bits', [8, 16])
def test_lightness_and_opposites(reader, bits):
    """Lab of Pillow's own colour management, which keeps a* and b* as signed bytes."""
    picture = Image.fromarray(as_kind(0.3 + 0.4 * shades(), 'uint8'))
    lab, srgb = ImageCms.createProfile('LAB'), ImageCms.createProfile('sRGB')
    values = numpy.asarray(ImageCms.profileToProfile(picture, srgb, lab, outputMode = 'LAB'))
    expected = numpy.asarray(picture) / 255
    if bits == 16:
        deep = values[:, :, 1:].view(numpy.int8).astype(numpy.int16) * 256
        light = values[:, :, :1].astype(numpy.uint16) * 257
        values = numpy.concatenate([light, deep.view(numpy.uint16)], 2)
    assert_shows(reader, tiff(values, photometric = 'cielab'), expected, 8)


@pytest.mark.parametrize(('kind', 'packed', 'options'), [
    ('float16', 'lzw', {}),
    ('uint32', 'lzw', {
        'planarconfig': 'separate'
    }),
    ('uint16', 'lzw', {
        'bigtiff': True,
        'byteorder': '>'
    }),
])
def test_what_cannot_be_read_is_refused_by_its_kind(reader, kind, packed, options):
    """LZW is put in by hand: its code, on data that nobody gets to."""
    pixels = as_kind(shades(), kind)
    pixels = numpy.moveaxis(pixels, 2, 0) if 'planarconfig' in options else pixels
    content = tiff(pixels, photometric = 'rgb', **options)
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tag, order = file.pages[0].tags['Compression'], file.byteorder
    changed = bytearray(content)
    struct.pack_into(f'{order}H', changed, tag.valueoffset, 5)
    with pytest.raises(errors.UnknownKind) as caught:
        reader.check(io.BytesIO(changed))
    assert caught.value.status == 415
    assert 'LZW' in caught.value.text.in_('zh')
    assert str(numpy.dtype(kind).itemsize * 8) in caught.value.text.in_('en')


@pytest.mark.parametrize('kind', ['uint16', 'float32'])
@pytest.mark.parametrize('turn', [3, 6, 8])
def test_deep_ones_are_turned_upright(reader, kind, turn):
    back = {3: 2, 6: 1, 8: 3}[turn]
    lying = numpy.rot90(shades(), back)
    content = tiff(
        as_kind(lying, kind),
        photometric = 'rgb',
        planarconfig = 'contig',
        extratags = [(274, 'H', 1, turn, True)])
    photo = read(reader, content)
    assert photo.full_size == (WIDTH, HEIGHT)
    assert_shows(reader, content, shades())


def test_profiles_of_deep_ones_are_applied(reader):
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
    red, blue = profile.find(b'rXYZ'), profile.find(b'bXYZ')
    profile[red:red + 4], profile[blue:blue + 4] = b'bXYZ', b'rXYZ'
    red_only = numpy.zeros((HEIGHT, WIDTH, 3))
    red_only[:, :, 0] = 0.8
    content = tiff(as_kind(red_only, 'float32'), photometric = 'rgb', iccprofile = bytes(profile))
    red, _green, blue = read(reader, content).image.getpixel((9, 9))
    assert blue > 150 > 90 > red


def test_deep_ones_are_shrunk_and_limited_as_all_are(reader):
    content = tiff(as_kind(shades(960, 640), 'float32'), photometric = 'rgb')
    photo = read(reader, content, 96 * 64)
    assert (photo.full_size, photo.image.size) == ((960, 640), (96, 64))
    with pytest.raises(errors.TooManyPixels):
        PhotoReader(1000).check(io.BytesIO(content))


@pytest.mark.parametrize('kind', ['uint16', 'float32'])
def test_deep_ones_that_break_off_are_refused(reader, kind):
    content = tiff(as_kind(shades(), kind), photometric = 'rgb', planarconfig = 'contig')
    with pytest.raises(errors.UnreadableImage):
        reader.check(io.BytesIO(content[:len(content) // 2]))


@pytest.mark.parametrize('packed', ['zlib', 'lzma'])
def test_packed_data_that_are_damaged_are_refused(reader, packed):
    content = bytearray(
        tiff(as_kind(shades(), 'float32'), photometric = 'rgb', compression = packed))
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        start, size = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    content[start + size // 2:start + size // 2 + 8] = bytes(8)
    with pytest.raises(errors.DamagedImage):
        reader.check(io.BytesIO(content))


def jpeg(width, height, colour = (30, 160, 40), exif = None):
    content = io.BytesIO()
    Image.new('RGB', (width, height), colour).save(content, 'JPEG', exif = exif or b'')
    return content.getvalue()


def raw(sensor = (1200, 800), preview = None, turn = None, tags = ()):
    """
    A raw file as cameras lay it out: a red thumbnail first, the sensor's data in a picture of its own inside, and a
    green JPEG that the first picture points to.
    """
    content = io.BytesIO()
    more = [(DNG_VERSION, 'B', 4, bytes([1, 4, 0, 0]), True), *tags]
    if turn:
        more.append((274, 'H', 1, turn, True))
    if preview:
        more += [(PREVIEW, 'I', 1, 0, True), (PREVIEW_LENGTH, 'I', 1, len(preview), True)]
    with tifffile.TiffWriter(content) as file:
        file.write(
            numpy.full((60, 90, 3), (200, 30, 30), numpy.uint8),
            photometric = 'rgb',
            subfiletype = 1,
            subifds = 1 if sensor else 0,
            metadata = None,
            extratags = more)
        if sensor:
            file.write(
                numpy.zeros(sensor[::-1], numpy.uint16),
                photometric = 'cfa',
                metadata = None,
                extratags = [(33421, 'H', 2, (2, 2), True),
                             (33422, 'B', 4, bytes([0, 1, 1, 2]), True)])
    if not preview:
        return content.getvalue()
    with tifffile.TiffFile(io.BytesIO(content.getvalue())) as file:
        at = file.pages[0].tags[PREVIEW].valueoffset
    changed = bytearray(content.getvalue())
    struct.pack_into('<I', changed, at, len(changed))
    return bytes(changed) + preview


GREEN = (30, 160, 40)


def assert_green(photo, size):
    assert photo.full_size == size
    assert numpy.abs(numpy.subtract(photo.image.getpixel((5, 5)), GREEN)).max() < 6


def test_the_photo_inside_a_raw_file_is_taken(reader):
    assert_green(read(reader, raw(preview = jpeg(1200, 800))), (1200, 800))


def test_a_smaller_photo_inside_is_taken_where_it_is_large_enough(reader):
    assert_green(read(reader, raw(preview = jpeg(700, 466))), (700, 466))
    assert_green(read(reader, raw((6000, 4000), jpeg(1080, 720))), (1080, 720))


@pytest.mark.parametrize('preview', [None, jpeg(160, 120), jpeg(320, 240)])
def test_a_raw_file_is_never_shown_as_its_thumbnail(reader, preview):
    for call in (reader.check, reader.read, reader.exif):
        with pytest.raises(errors.CameraRaw) as caught:
            call(io.BytesIO(raw(preview = preview)))
    assert caught.value.status == 415
    assert 'JPEG' in caught.value.text.in_('en')
    assert 'RAW' in caught.value.text.in_('zh')


@pytest.mark.parametrize('head', [b'IIRO', b'IIRS', b'IIU\0'])
def test_raw_files_with_heads_of_their_own(reader, head):
    content = raw(preview = jpeg(1200, 800))
    assert_green(read(reader, head + content[4:]), (1200, 800))
    with pytest.raises(errors.CameraRaw):
        reader.check(io.BytesIO(head + raw()[4:]))


def test_the_photo_inside_is_turned_as_the_raw_file_says(reader):
    assert_green(read(reader, raw(preview = jpeg(1200, 800), turn = 6)), (800, 1200))
    own = Image.Exif()
    own[0x0112] = 1
    assert_green(read(reader, raw(preview = jpeg(1200, 800, exif = own), turn = 6)), (1200, 800))


def test_a_picture_that_cannot_be_read_hides_no_photo(reader):
    photo = jpeg(1200, 800)
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as file:
        more = [(DNG_VERSION, 'B', 4, bytes([1, 6, 0, 0]), True), (PREVIEW, 'I', 1, 0, True),
                (PREVIEW_LENGTH, 'I', 1, len(photo), True)]
        thumbnail = numpy.zeros((60, 90, 3), numpy.uint8)
        file.write(
            thumbnail, photometric = 'rgb', subfiletype = 1, metadata = None, extratags = more)
        file.write(numpy.zeros((1000, 1300), numpy.uint8), photometric = 52527, metadata = None)
    with tifffile.TiffFile(io.BytesIO(content.getvalue())) as file:
        at = file.pages[0].tags[PREVIEW].valueoffset
    changed = bytearray(content.getvalue())
    struct.pack_into('<I', changed, at, len(changed))
    assert_green(read(reader, bytes(changed) + photo), (1200, 800))


@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'float32'])
def test_a_full_picture_behind_a_thumbnail_is_turned_as_the_file_says(reader, kind):
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as file:
        file.write(
            numpy.zeros((16, 24, 3), numpy.uint8),
            photometric = 'rgb',
            subfiletype = 1,
            subifds = 1,
            extratags = [(0x0112, 'H', 1, 6, True)],
            metadata = None)
        file.write(as_kind(shades(), kind), photometric = 'rgb', metadata = None)
    assert_shows(reader, content.getvalue(), numpy.rot90(shades(), -1))
    assert read(reader, content.getvalue()).full_size == (HEIGHT, WIDTH)


@pytest.mark.parametrize('inside', [False, True])
@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'float32'])
@pytest.mark.parametrize('big', [False, True])
def test_the_full_picture_is_taken_where_a_thumbnail_stands_first(reader, kind, inside, big):
    content = io.BytesIO()
    with tifffile.TiffWriter(content, bigtiff = big) as file:
        file.write(
            numpy.zeros((16, 24, 3), numpy.uint8),
            photometric = 'rgb',
            subfiletype = 1,
            subifds = int(inside),
            metadata = None)
        file.write(as_kind(shades(), kind), photometric = 'rgb', metadata = None)
    assert_shows(reader, content.getvalue(), shades())


def test_of_several_full_pictures_the_first_is_taken(reader):
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as file:
        file.write(as_kind(shades(), 'uint8'), photometric = 'rgb', metadata = None)
        file.write(numpy.zeros((200, 300, 3), numpy.uint8), photometric = 'rgb', metadata = None)
    assert_shows(reader, content.getvalue(), shades())


@pytest.mark.parametrize(
    'content', [
        raw(preview = jpeg(1200, 800)),
        tiff(as_kind(shades(), 'float32'), photometric = 'rgb'),
        tiff(as_kind(shades(), 'uint16'), photometric = 'rgb', byteorder = '>'),
    ],
    ids = ['raw', 'deep', 'other order'])
def test_date_and_place_are_those_of_the_file(reader, tmp_path, content):
    """Written by exiftool, beside the picture that is taken."""
    path = tmp_path / 'photo.tif'
    path.write_bytes(content)
    wrote = subprocess.run([
        'exiftool', '-q', '-overwrite_original', '-Make=Somebody',
        '-DateTimeOriginal=2019:05:04 12:34:56', '-GPSLatitude=31.25', '-GPSLatitudeRef=N', path
    ],
                           check = False)
    assert wrote.returncode == 0
    found = reader.still(path, (3, 2)).exif
    assert (found[0][0x010F], found[0x8769][0x9003]) == ('Somebody', '2019:05:04 12:34:56')
    assert tuple(map(float, found[0x8825][2])) == (31, 15, 0) and found[0x8825][1] == 'N'


def test_big_ones_tell_of_the_camera(reader):
    camera = [(271, 's', 0, 'Somebody', True)]
    content = tiff(as_kind(shades(), 'uint16'), bigtiff = True, extratags = camera)
    assert reader.still(io.BytesIO(content), (3, 2)).exif[0][271] == 'Somebody'


def test_a_raw_file_without_a_date_has_that_of_the_photo_inside(reader):
    own = Image.Exif()
    own[0x010F] = 'Somebody'
    own.get_ifd(0x8769)[0x9003] = '2019:05:04 12:34:56'
    content = raw(preview = jpeg(1200, 800, exif = own))
    found = reader.still(io.BytesIO(content), (3, 2)).exif
    assert found[0x8769][0x9003] == '2019:05:04 12:34:56'
