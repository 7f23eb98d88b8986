#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Photo intake: formats, orientation, transparency, depth, colour, limits, damage.

Libraries: Pillow, pillow-heif, numpy, hypothesis, pytest.
"""

import io
import struct
import threading
import warnings
import zlib

import numpy
import pillow_heif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from modules import errors
from modules.photos.reader import PhotoReader
from modules.photos.sizes import result_size

RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 160, 40), (20, 40, 200), (240, 240, 240)


@pytest.fixture(scope = 'module')
def reader():
    return PhotoReader(max_pixels = 4_000_000)


def corners(size = (64, 48)):
    """A picture whose four corners differ, so that a turn or a flip shows."""
    image = Image.new('RGB', size, RED)
    width, height = size
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(WHITE, (width // 2, height // 2, width, height))
    return image


def corner_colours(image):
    width, height = image.size
    points = [(3, 3), (width - 4, 3), (3, height - 4), (width - 4, height - 4)]
    return [image.getpixel(point) for point in points]


def assert_close(found, expected, tolerance = 12):
    assert numpy.abs(numpy.subtract(found, expected)).max() <= tolerance, (found, expected)


def saved(tmp_path, image, kind, **options):
    path = tmp_path / 'upload'
    image.save(path, kind, **options)
    return path


@pytest.mark.parametrize('kind', ['AVIF', 'BMP', 'GIF', 'HEIF', 'JPEG', 'PNG', 'TIFF', 'WEBP'])
def test_reads_every_format_of_the_contract(reader, tmp_path, kind):
    pillow_heif.register_heif_opener()
    path = saved(tmp_path, corners(), kind, quality = 95)
    reader.check(path)
    photo = reader.read(path)
    assert photo.image.mode == 'RGB'
    assert photo.full_size == photo.image.size == (64, 48)
    assert_close(corner_colours(photo.image), [RED, GREEN, BLUE, WHITE], 25)


def test_reads_the_first_picture_of_an_mpo(reader, tmp_path):
    other = Image.new('RGB', (64, 48), 'black')
    path = saved(tmp_path, corners(), 'MPO', save_all = True, append_images = [other], quality = 95)
    with Image.open(path) as image:
        assert image.format == 'MPO'
    assert_close(corner_colours(reader.read(path).image), [RED, GREEN, BLUE, WHITE], 25)


def test_reads_the_first_frame_of_an_animation(reader, tmp_path):
    other = Image.new('RGB', (64, 48), 'black')
    path = saved(tmp_path, corners(), 'GIF', save_all = True, append_images = [other])
    assert_close(corner_colours(reader.read(path).image), [RED, GREEN, BLUE, WHITE])


TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270
}


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'TIFF', 'AVIF'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_turns_photos_upright(reader, tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = TURNS[orientation]
    lying = corners() if turn is None else corners().transpose(turn)
    path = saved(tmp_path, lying, kind, exif = exif.tobytes(), quality = 95)
    photo = reader.read(path)
    assert photo.full_size == photo.image.size == (64, 48)
    assert_close(corner_colours(photo.image), [RED, GREEN, BLUE, WHITE], 25)


@pytest.mark.parametrize('kind', ['AVIF', 'HEIF', 'JPEG', 'PNG', 'TIFF', 'WEBP'])
@pytest.mark.parametrize('form', ['tiff:Orientation="6"', '<tiff:Orientation>6</tiff:Orientation>'])
def test_orientation_in_xmp_alone_turns_nothing(reader, tmp_path, kind, form):
    """As no browser does."""
    pillow_heif.register_heif_opener()
    tag = f'<rdf:Description {form}/>' if '=' in form else f'<rdf:Description>{form}</rdf:Description>'
    packet = f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{tag}</x:xmpmeta>'.encode()
    if kind == 'PNG':
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt('XML:com.adobe.xmp', packet.decode())
        path = saved(tmp_path, corners(), kind, pnginfo = texts)
    elif kind == 'TIFF':
        path = saved(tmp_path, corners(), kind, tiffinfo = {700: packet})
    elif kind == 'HEIF':
        # its writer would turn the picture
        path = saved(tmp_path, corners(), kind, xmp = packet.replace(b'6', b'1'), quality = 95)
        path.write_bytes(path.read_bytes().replace(packet.replace(b'6', b'1'), packet))
    else:
        path = saved(tmp_path, corners(), kind, xmp = packet, quality = 95)
    photo = reader.read(path)
    assert photo.full_size == photo.image.size == (64, 48)
    assert_close(corner_colours(photo.image), [RED, GREEN, BLUE, WHITE], 25)


def test_orientation_in_exif_counts_whatever_xmp_says(reader, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="3"/></x:xmpmeta>'
    lying = corners().transpose(TURNS[6])
    photo = reader.read(saved(tmp_path, lying, 'JPEG', exif = exif, xmp = packet, quality = 95))
    assert_close(corner_colours(photo.image), [RED, GREEN, BLUE, WHITE], 25)


@pytest.mark.parametrize('orientation', [3, 6])
def test_turns_heic_upright_once(reader, tmp_path, orientation):
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, corners().transpose(TURNS[orientation]), 'HEIF', exif = exif.tobytes())
    photo = reader.read(path)
    assert photo.full_size == (64, 48)
    assert_close(corner_colours(photo.image), [RED, GREEN, BLUE, WHITE], 25)


def test_size_is_that_of_the_whole_upright_photo_even_when_decoded_smaller(reader, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, corners((1600, 1200)), 'JPEG', exif = exif.tobytes())
    photo = reader.read(path, pixels = 200 * 150)
    assert photo.full_size == (1200, 1600)
    assert photo.image.size == (150, 200)


@pytest.mark.parametrize('kind', ['PNG', 'WEBP', 'TIFF', 'GIF'])
def test_what_draft_cannot_shrink_is_shrunk_after_decoding(reader, tmp_path, kind):
    path = saved(tmp_path, corners((1600, 1200)), kind)
    photo = reader.read(path, pixels = 300 * 220)
    assert photo.image.width == 320
    assert photo.full_size == (1600, 1200)
    assert_close(corner_colours(photo.image), [RED, GREEN, BLUE, WHITE])


def test_never_decodes_to_fewer_pixels_than_asked(reader, tmp_path):
    path = saved(tmp_path, corners((1000, 700)), 'JPEG')
    image = reader.read(path, pixels = 600 * 420).image
    assert image.width * image.height >= 600 * 420


def test_lays_transparency_on_white(reader, tmp_path):
    hidden_black = Image.new('RGBA', (8, 8), (0, 0, 0, 0))
    assert reader.read(saved(tmp_path, hidden_black, 'PNG')).image.getpixel((4, 4)) == (255, ) * 3


def test_half_transparent_is_half_white(reader, tmp_path):
    image = Image.new('RGBA', (8, 8), (0, 0, 0, 128))
    assert_close(reader.read(saved(tmp_path, image, 'PNG')).image.getpixel((4, 4)), (127, ) * 3, 2)


@pytest.mark.parametrize('mode', ['P', 'L', 'RGB', 'LA'])
def test_lays_transparency_of_every_mode_on_white(reader, tmp_path, mode):
    image = Image.new(mode, (8, 8), (9, 0) if mode == 'LA' else 0)
    options = {'P': 0, 'L': 0, 'RGB': (0, 0, 0)}
    more = {'transparency': options[mode]} if mode in options else {}
    path = saved(tmp_path, image, 'PNG', **more)
    assert reader.read(path).image.getpixel((4, 4)) == (255, ) * 3


def test_transparent_palettes_survive_being_shrunk(reader, tmp_path):
    image = Image.new('P', (800, 800), 0)
    image.putpalette([0, 0, 0, 200, 30, 30])
    image.paste(1, (0, 0, 400, 800))
    path = saved(tmp_path, image, 'PNG', transparency = 0)
    small = reader.read(path, pixels = 100 * 100).image
    assert_close([small.getpixel((20, 50)), small.getpixel((80, 50))], [RED, (255, 255, 255)], 3)


def test_scales_sixteen_bit_greys(reader, tmp_path):
    values = numpy.full((8, 8), 40000, numpy.uint16)
    path = saved(tmp_path, Image.fromarray(values), 'PNG')
    assert_close(reader.read(path).image.getpixel((4, 4)), (156, ) * 3, 1)


def test_transparent_sixteen_bit_greys_are_white(reader, tmp_path):
    image = Image.fromarray(numpy.full((8, 8), 40000, numpy.uint16))
    content = bytearray(saved(tmp_path, image, 'PNG').read_bytes())
    key = b'tRNS' + struct.pack('>H', 40000)
    end = content.index(b'IDAT') - 4
    content[end:end] = struct.pack('>I', 2) + key + struct.pack('>I', zlib.crc32(key))
    (tmp_path / 'upload').write_bytes(content)
    assert reader.read(tmp_path / 'upload').image.getpixel((4, 4)) == (255, ) * 3


def test_a_photo_that_may_not_be_opened_is_not_called_unreadable(reader, tmp_path):
    with pytest.raises(FileNotFoundError):
        reader.check(tmp_path / 'none.jpg')
    with pytest.raises(IsADirectoryError):
        reader.check(tmp_path)


def test_scales_sixteen_bit_tiffs(reader, tmp_path):
    path = saved(tmp_path, Image.fromarray(numpy.full((8, 8), 10000, numpy.uint16)), 'TIFF')
    assert_close(reader.read(path).image.getpixel((4, 4)), (39, ) * 3, 1)


@pytest.mark.parametrize(('brightest', 'value', 'expected'), [(1, 0.5, 128), (255, 100, 100)])
def test_scales_floating_point_tiffs(reader, tmp_path, brightest, value, expected):
    values = numpy.full((8, 8), value, numpy.float32)
    values[0, 0] = brightest
    path = saved(tmp_path, Image.fromarray(values), 'TIFF')
    assert_close(reader.read(path).image.getpixel((4, 4)), (expected, ) * 3, 1)


def test_reads_sixteen_bit_colour(reader, tmp_path):
    rows = b''.join(b'\0' + struct.pack('>3H', 40000, 10000, 65535) * 8 for _ in range(8))
    path = tmp_path / 'upload'
    path.write_bytes(png(struct.pack('>2I5B', 8, 8, 16, 2, 0, 0, 0), zlib.compress(rows)))
    assert_close(reader.read(path).image.getpixel((4, 4)), (156, 39, 255), 1)


def png(header, *data):
    """A PNG put together by hand, for what no writer at hand writes."""

    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack(
            '>I', zlib.crc32(kind + content))

    chunks = chunk(b'IHDR', header) + b''.join(chunk(b'IDAT', d) for d in data)
    return b'\x89PNG\r\n\x1a\n' + chunks + chunk(b'IEND', b'')


def test_reads_cmyk(reader, tmp_path):
    image = Image.new('CMYK', (16, 16), (0, 255, 255, 0))
    red, green, blue = reader.read(saved(tmp_path, image, 'JPEG', quality = 95)).image.getpixel(
        (8, 8))
    assert red > 230
    assert max(green, blue) < 30


@pytest.mark.parametrize('mode', ['1', 'L'])
def test_reads_greys(reader, tmp_path, mode):
    path = saved(tmp_path, Image.new(mode, (8, 8), 255), 'PNG')
    assert reader.read(path).image.getpixel((4, 4)) == (255, ) * 3


def swapped_profile():
    """A colour profile in which red and blue have changed places: whoever ignores it shows the wrong colour."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
    red, blue = content.find(b'rXYZ'), content.find(b'bXYZ')
    content[red:red + 4], content[blue:blue + 4] = b'bXYZ', b'rXYZ'
    return bytes(content)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'TIFF', 'WEBP'])
def test_applies_colour_profiles(reader, tmp_path, kind):
    image = Image.new('RGB', (64, 64), (200, 20, 20))
    path = saved(tmp_path, image, kind, icc_profile = swapped_profile(), quality = 95)
    for pixels in (None, 16 * 16):
        red, _green, blue = reader.read(path, pixels).image.getpixel((4, 4))
        assert blue > 150 > 90 > red


def test_a_broken_colour_profile_does_not_stop_a_photo(reader, tmp_path):
    path = saved(tmp_path, corners(), 'PNG', icc_profile = b'no profile at all')
    assert_close(corner_colours(reader.read(path).image), [RED, GREEN, BLUE, WHITE])


def test_a_profile_for_another_kind_of_colour_does_not_stop_a_photo(reader, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    path = saved(tmp_path, Image.new('L', (8, 8), 90), 'PNG', icc_profile = profile)
    assert_close(reader.read(path).image.getpixel((4, 4)), (90, ) * 3, 2)


def test_broken_exif_does_not_stop_a_photo(reader, tmp_path):
    path = saved(tmp_path, corners(), 'JPEG', exif = b'Exif\0\0no tiff at all', quality = 95)
    assert_close(corner_colours(reader.read(path).image), [RED, GREEN, BLUE, WHITE], 25)


@pytest.mark.parametrize(
    'content', [b'hello, I am a text', b'<svg xmlns="http://www.w3.org/2000/svg"/>', b'\0' * 99])
def test_refuses_what_is_no_image(reader, tmp_path, content):
    path = tmp_path / 'upload'
    path.write_bytes(content)
    with pytest.raises(errors.UnreadableImage) as caught:
        reader.check(path)
    assert (caught.value.status, caught.value.code) == (415, 'unreadable_image')


def test_refuses_an_empty_file(reader, tmp_path):
    path = tmp_path / 'upload'
    path.touch()
    with pytest.raises(errors.EmptyImage):
        reader.check(path)


def noise(size = (320, 240)):
    return Image.fromarray(
        numpy.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), numpy.uint8))


@pytest.mark.parametrize('kind', ['AVIF', 'BMP', 'GIF', 'HEIF', 'JPEG', 'PNG', 'TIFF', 'WEBP'])
def test_refuses_truncated_files(reader, tmp_path, kind):
    pillow_heif.register_heif_opener()
    path = saved(tmp_path, noise(), kind)
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])
    with pytest.raises(errors.UnreadableImage):
        reader.check(path)


def test_the_thumbnail_of_a_heic_is_not_taken_for_the_picture(reader, tmp_path):
    pillow_heif.register_heif_opener()
    path = saved(tmp_path, noise(), 'HEIF', thumbnails = [64])
    assert reader.read(path, 40 * 30).image.size == (40, 30)


def test_refuses_a_progressive_jpeg_that_breaks_off(reader, tmp_path):
    path = saved(tmp_path, noise(), 'JPEG', progressive = True)
    content = path.read_bytes()
    path.write_bytes(content[:len(content) - len(content) // 10])
    with pytest.raises(errors.DamagedImage):
        reader.check(path)


def test_refuses_too_many_pixels_before_decoding(reader, tmp_path):
    """A bomb: 400 megapixels in a few bytes, whose data would be damaged if anybody looked at it."""
    path = tmp_path / 'upload'
    path.write_bytes(png(struct.pack('>2I5B', 20000, 20000, 8, 0, 0, 0, 0), b'never looked at'))
    with pytest.raises(errors.TooManyPixels) as caught:
        reader.check(path)
    assert caught.value.status == 413
    assert '400' in caught.value.text.in_('en')


def test_the_pixel_limit_is_exact(tmp_path):
    path = saved(tmp_path, Image.new('L', (100, 50)), 'PNG')
    PhotoReader(5000).check(path)
    with pytest.raises(errors.TooManyPixels):
        PhotoReader(4999).check(path)


def test_allows_more_pixels_than_pillow_does_by_itself(tmp_path):
    path = saved(tmp_path, Image.new('1', (20000, 10000)), 'PNG')
    PhotoReader(200_000_000).check(path)


def test_decodes_only_so_many_photos_at_once(tmp_path):
    reader = PhotoReader(10_000_000, simultaneous = 1)
    path = saved(tmp_path, corners(), 'PNG')
    waited = threading.Event()
    with reader._opened(path):
        other = threading.Thread(target = lambda: (reader.check(path), waited.set()))
        other.start()
        assert not waited.wait(0.3)
    assert waited.wait(5)
    other.join()


@settings(max_examples = 300, deadline = None, suppress_health_check = list(HealthCheck))
@given(st.data())
def test_damage_of_any_kind_is_a_refusal_and_nothing_else(reader, tmp_path, data):
    pillow_heif.register_heif_opener()
    kind = data.draw(st.sampled_from(['AVIF', 'BMP', 'GIF', 'HEIF', 'JPEG', 'PNG', 'TIFF', 'WEBP']))
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    noise((24, 18)).save(buffer, kind, exif = exif.tobytes())
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    path = tmp_path / 'upload'
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            reader.check(path)
            assert reader.read(path, 100).image.mode == 'RGB'
        except (errors.UnreadableImage, errors.TooManyPixels):
            pass


def test_landscape_and_portrait_have_the_models_size():
    assert result_size((4020, 2261), 1024 * 576) == (1024, 576)
    assert result_size((2268, 4032), 1024 * 576) == (576, 1024)


@given(st.integers(1, 12000), st.integers(1, 12000))
def test_results_keep_the_photos_shape(width, height):
    found = result_size((width, height), 1024 * 576)
    assert found[0] % 2 == found[1] % 2 == 0
    assert found[0] <= max(width, 2)
    assert found[1] <= max(height, 2)
    if min(found) > 2:
        # sides are even, so the longer one may be a pixel away from the shorter one's exact shape
        long, short = max(found), min(found)
        assert abs(long - short * max(width, height) / min(width, height)) <= 1.01 + long % 2
        assert (found[0] >= found[1]) == (width >= height) or found[0] == found[1]


@pytest.mark.parametrize('photo', [(70000, 10), (1, 70000), (100_000_000, 1)])
def test_slivers_are_no_longer_than_any_format_allows(photo):
    assert 2 <= min(result_size(photo, 1024 * 576)) <= max(result_size(photo, 1024 * 576)) <= 16000


def test_results_have_about_the_pixels_asked_for():
    for photo in ((4000, 3000), (3000, 4000), (5000, 5000), (9000, 1000)):
        width, height = result_size(photo, 1024 * 576)
        assert 0.97 < width * height / (1024 * 576) < 1.03


def test_a_photo_longer_than_a_jpeg_can_be_has_a_still_that_is_as_long(tmp_path):
    path = tmp_path / 'panorama'
    Image.new('RGB', (70000, 140), (9, 99, 9)).save(path, 'PNG')
    made = PhotoReader(10**8).still(path, (70000, 140))
    with Image.open(io.BytesIO(made.jpeg)) as still:
        assert still.size == made.size == (65500, 131)
