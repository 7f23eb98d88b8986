#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Kinds of pictures that are easily shown wrongly, as Chromium shows them; and kinds that are refused by name.

Libraries: browser, numpy, Pillow, pytest, tifffile.
"""

import io
import struct
import zlib

import browser
import numpy
import pytest
import tifffile
from PIL import Image, ImageCms

from modules import errors
from modules.photos.reader import PhotoReader
from modules.photos.sandbox import calls
from modules.photos.sandbox.sandbox import Sandbox, SandboxedReader

WIDTH, HEIGHT = 64, 48


@pytest.fixture(scope = 'module')
def page():
    with browser.chromium() as chromium:
        yield chromium.new_page()


@pytest.fixture(scope = 'module')
def reader():
    return PhotoReader(10**6)


def picture():
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    return numpy.stack([x * 4, y * 5, x + y], 2).astype(numpy.uint8)


def read(reader, content, pixels = None):
    reader.check(io.BytesIO(content))
    return numpy.asarray(reader.read(io.BytesIO(content), pixels).image)


def assert_as_in(page, reader, content, mime_type):
    shown = browser.pixels(page, content, mime_type)
    assert numpy.abs(read(reader, content).astype(int) - shown).max() <= 2


def chunk(kind, content):
    return struct.pack('>I', len(content)) + kind + content + struct.pack(
        '>I', zlib.crc32(kind + content))


def apng(box = (0, 0, WIDTH, HEIGHT), frames = 2):
    """An animation whose first frame, in negative, is not the picture for those who know no animations."""

    def packed(pixels):
        return zlib.compress(b''.join(b'\0' + row.tobytes() for row in pixels))

    left, top, right, bottom = box
    negative = (255 - picture())[top:bottom, left:right]
    parts = [
        chunk(b'IHDR', struct.pack('>2I5B', WIDTH, HEIGHT, 8, 2, 0, 0, 0)),
        chunk(b'acTL', struct.pack('>2I', frames, 0)),
        chunk(b'IDAT', packed(picture()))
    ]
    for number in range(frames):
        size = right - left, bottom - top, left, top
        control = struct.pack('>5I2H2B', 2 * number, *size, 1, 10, 0, 0)
        parts.append(chunk(b'fcTL', control))
        parts.append(chunk(b'fdAT', struct.pack('>I', 2 * number + 1) + packed(negative)))
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts) + chunk(b'IEND', b'')


@pytest.mark.parametrize('frames', [1, 2])
@pytest.mark.parametrize('box', [(0, 0, WIDTH, HEIGHT), (8, 8, 40, 32)])
def test_the_first_frame_of_an_apng_is_not_the_picture_beside_it(page, reader, box, frames):
    assert_as_in(page, reader, apng(box, frames), 'image/png')


def test_a_frame_of_a_part_of_the_canvas_has_its_profile_applied(page, reader):
    # red and green change places
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    red, green = profile.index(b'rXYZ'), profile.index(b'gXYZ')
    profile = bytearray(profile)
    profile[red:red + 4], profile[green:green + 4] = b'gXYZ', b'rXYZ'
    content = apng((8, 8, 40, 32))
    at = content.index(b'acTL') - 4
    content = content[:at] + chunk(b'iCCP', b'own\0\0' + zlib.compress(profile)) + content[at:]
    assert_as_in(page, reader, content, 'image/png')


def gif(box, canvas = (WIDTH, HEIGHT), transparent = None):
    """A green frame on a larger canvas, whose colour of number 0 is red."""
    content = io.BytesIO()
    frame = Image.new('P', box[2:], 1)
    frame.putpalette([200, 30, 30, 30, 160, 40])
    frame.save(content, 'GIF', **({} if transparent is None else {'transparency': transparent}))
    data = bytearray(content.getvalue())
    struct.pack_into('<HH', data, 6, *canvas)
    at = data.rindex(b',', 0, data.index(struct.pack('<HH', *box[2:]), 13))
    struct.pack_into('<HHHH', data, at + 1, *box)
    return bytes(data)


@pytest.mark.parametrize('box', [(16, 8, 20, 20), (0, 0, 20, 48), (0, 0, WIDTH, HEIGHT)])
@pytest.mark.parametrize('transparent', [None, 0])
def test_what_the_first_frame_of_a_gif_does_not_cover_is_white(page, reader, box, transparent):
    assert_as_in(page, reader, gif(box, transparent = transparent), 'image/gif')


#: red, green, blue, transparency
MASKS = {
    '4444': (0xf00, 0xf0, 0xf, 0xf000),
    '0444': (0xf00, 0xf0, 0xf, 0),
    '565': (0xf800, 0x7e0, 0x1f, 0),
    '1555': (0x7c00, 0x3e0, 0x1f, 0x8000),
    '8888': (0xff0000, 0xff00, 0xff, 0xff000000),
    'abgr': (0xff, 0xff00, 0xff0000, 0xff000000),
    'a in the end': (0xff000000, 0xff0000, 0xff00, 0xff),
    '10 each': (0x3ff00000, 0xffc00, 0x3ff, 0),
    '10 each, 2': (0x3ff00000, 0xffc00, 0x3ff, 0xc0000000),
}


def bitmap(masks, upward = True, size = 124):
    """A Windows bitmap whose left half is opaque, and the other less so."""
    bits = 32 if max(masks) > 0xffff else 16
    pixels = picture().astype(float)
    cover = numpy.where(numpy.arange(WIDTH) < WIDTH // 2, 255, 128)
    planes = [*numpy.moveaxis(pixels, 2, 0), numpy.broadcast_to(cover, (HEIGHT, WIDTH))]
    values = numpy.zeros((HEIGHT, WIDTH), numpy.uint32)
    for plane, mask in zip(planes, masks, strict = True):
        if mask:
            lowest = mask & -mask
            values |= (numpy.round(plane / 255 * (mask // lowest)) * lowest).astype(numpy.uint32)
    rows = values.astype('<u2' if bits == 16 else '<u4')[::-1 if upward else 1].tobytes()
    head = struct.pack('<IiiHHIIiiII', size, WIDTH, HEIGHT if upward else -HEIGHT, 1, bits, 3,
                       len(rows), 2835, 2835, 0, 0)
    head += struct.pack('<4I', *masks)[:12 if size == 40 else 16]
    if size > 40:
        head = (head + b'BGRs').ljust(size, b'\0')
    return b'BM' + struct.pack('<IHHI', 14 + len(head + rows), 0, 0, 14 + len(head)) + head + rows


@pytest.mark.parametrize('upward', [True, False])
@pytest.mark.parametrize('masks', MASKS.values(), ids = MASKS)
def test_bitmaps_with_colours_in_bits_of_their_choice(page, reader, masks, upward):
    assert_as_in(page, reader, bitmap(masks, upward), 'image/bmp')
    if not masks[3]:
        assert_as_in(page, reader, bitmap(masks, upward, 40), 'image/bmp')


def test_bitmaps_that_break_off_or_hold_nothing_are_refused(reader):
    whole = bitmap(MASKS['4444'])
    for content in (whole[:-9], whole[:70], whole[:54] + bytes(16) + whole[70:]):
        with pytest.raises(errors.UnreadableImage):
            reader.check(io.BytesIO(content))


def test_an_avif_too_large_for_its_decoder_is_too_large(reader):
    content = io.BytesIO()
    Image.fromarray(picture()).save(content, 'AVIF')
    data = bytearray(content.getvalue())
    struct.pack_into('>II', data, data.index(b'ispe') + 8, 17000, 17000)
    with pytest.raises(errors.TooManyPixels, match = '289'):
        reader.check(io.BytesIO(data))


def avif_with_two_tables():
    """An AVIF with transparency as cavif wrote it: the table of properties in two pieces, one for each part."""
    cover = numpy.where(numpy.arange(WIDTH) < WIDTH // 2, 255, 128).astype(numpy.uint8)
    pixels = numpy.dstack([picture(), numpy.broadcast_to(cover, (HEIGHT, WIDTH))])
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, 'AVIF', quality = 100, subsampling = '4:4:4')
    data = bytearray(content.getvalue())
    start = data.index(b'ipma') - 4
    size, = struct.unpack_from('>I', data, start)
    entries = data[start + 16:start + size]
    # item, count, and as many bytes
    first = entries[:3 + entries[2]]
    tables = [
        struct.pack('>I4sII', 16 + len(each), b'ipma', 0, 1) + each
        for each in (first, entries[len(first):])
    ]
    data[start:start + size] = b''.join(tables)
    for kind in (b'meta', b'iprp'):
        place = data.index(kind) - 4
        struct.pack_into('>I', data, place, struct.unpack_from('>I', data, place)[0] + 16)
    locations = data.index(b'iloc') + 12
    for place in (locations + 6, locations + 20):
        struct.pack_into('>I', data, place, struct.unpack_from('>I', data, place)[0] + 16)
    return bytes(data)


def test_an_avif_whose_properties_stand_in_two_tables(page, reader):
    content = avif_with_two_tables()
    # what reads it otherwise does not
    with pytest.raises(OSError):
        Image.open(io.BytesIO(content))
    assert_as_in(page, reader, content, 'image/avif')
    for broken in (content[:content.index(b'ipma')], content.replace(b'ipco', b'free')):
        with pytest.raises(errors.UnreadableImage):
            reader.check(io.BytesIO(broken))


def test_an_avif_of_a_layout_to_come_is_refused(reader):
    content = io.BytesIO()
    Image.fromarray(picture()).save(content, 'AVIF')
    data = bytearray(content.getvalue())
    data[data.index(b'hdlr') + 4] = 42
    with pytest.raises(errors.UnreadableImage):
        reader.check(io.BytesIO(data))


def jpeg_head(marker, bits):
    """The beginning of a JPEG of a kind that no program at hand writes."""
    frame = struct.pack('>BHHB', bits, HEIGHT, WIDTH, 1) + b'\1\x11\0'
    scan = b'\1\1\0\0\x3f\0'
    return (b'\xff\xd8\xff' + bytes([marker]) + struct.pack('>H', 2 + len(frame)) + frame +
            b'\xff\xda' + struct.pack('>H', 2 + len(scan)) + scan + b'data\xff\xd9')


NAMED = {
    'JPEG (12 bit)': jpeg_head(0xc1, 12),
    'JPEG (lossless)': jpeg_head(0xc3, 12),
    'JPEG XL': b'\xff\x0a' + bytes(99),
    'JPEG 2000': b'\0\0\0\x0cjP  \r\n\x87\n' + bytes(99),
    'JPEG XR': b'II\xbc\1' + bytes(99),
    'PSD': b'8BPS\0\1' + bytes(99),
    'PDF': b'%PDF-1.7\n' + bytes(99),
    'MP4': b'\0\0\0\x18ftypmp42\0\0\0\0mp42isom' + bytes(99)
}


@pytest.mark.parametrize('name', NAMED)
def test_kinds_that_are_not_read_are_called_by_their_name(reader, name):
    with pytest.raises(errors.UnknownKind) as caught:
        reader.check(io.BytesIO(NAMED[name]))
    assert (caught.value.status, caught.value.code) == (415, 'unknown_kind')
    for language in ('en', 'zh'):
        assert name in caught.value.text.in_(language)


@pytest.mark.parametrize('head', [
    b'\0\0\0\x18ftypcrx \0\0\0\1crx isom', b'FUJIFILMCCD-RAW 0201', b'II\x1a\0\0\0HEAPCCDR\2\0',
    b'\0MRM\0\1\2\3', b'FOVb\0\0\2\0'
])
def test_raw_files_of_other_makes_are_called_so(reader, head):
    with pytest.raises(errors.CameraRaw):
        reader.check(io.BytesIO(head + bytes(99)))


def written(kind, **options):
    content = io.BytesIO()
    Image.fromarray(picture()).save(content, kind, **options)
    return content.getvalue()


def test_a_picture_process_has_all_that_it_needs_when_it_can_open_nothing_more(tmp_path, reader):
    """tifffile, PyAV and numpy load much of themselves when it is first needed."""
    deep, tiff = picture().astype(numpy.float32) / 255, io.BytesIO()
    tifffile.imwrite(tiff, deep, photometric = 'rgb', compression = 'zlib', metadata = None)
    contents = {
        'deep': tiff.getvalue(),
        'endless': written('JPEG')[:-2],
        'bitmap': bitmap(MASKS['4444']),
        'animation': apng(),
        'avif': written('AVIF'),
        'tiff': written('TIFF', compression = 'tiff_lzw')
    }
    sandbox = Sandbox(10**6)
    elsewhere = SandboxedReader(sandbox, 10**6)
    try:
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
            sandbox.run(calls.check, tmp_path / name, 10**6)
            found = elsewhere.read(tmp_path / name).image
            assert found.tobytes() == reader.read(tmp_path / name).image.tobytes(), name
    finally:
        sandbox.close()


def test_the_name_of_a_kind_comes_out_of_a_picture_process(tmp_path):
    (tmp_path / 'upload').write_bytes(NAMED['JPEG XL'])
    sandbox = Sandbox(10**6)
    try:
        with pytest.raises(errors.UnknownKind, match = 'JPEG XL'):
            sandbox.run(calls.check, tmp_path / 'upload', 10**6)
    finally:
        sandbox.close()
