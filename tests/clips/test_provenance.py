#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What files tell of how they were made, as exiftool, ffprobe, webpmux and Pillow see it, and as we read it again.

Libraries: pytest, numpy, Pillow, hypothesis.
"""

import base64
import contextlib
import json
import re
import struct
import tracemalloc
import zipfile
import zlib
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some
from judges import decoded, drift, exiftool, output_of, streams, warnings_of
from PIL import Image, ImageSequence

from modules.clips import provenance
from modules.encoders import TABLE, Clip, live_photo
from modules.request.drawing import parse_flow

pytestmark = pytest.mark.usefixtures('exiftool_stays')

CREATED = datetime(2026, 3, 4, 5, 6, 7, tzinfo = timezone.utc)
#: more than one block of a GIF, letters beyond ASCII, every type JSON has
SETTINGS = {
    'software': 'turn-live-photos 0.1.0',
    'created': CREATED.isoformat(),
    'parameters': {
        'motion_bucket_id': 127,
        'noise_aug_strength': 0.02,
        'key_frame': None,
        'word': '照片 "quoted" \\ \n'
    },
    'options': {
        'ModelOptions': {
            'OutputFPS': 15,
            'UNet': True,
            'ModelName': 'owner/' + 'name' * 80
        }
    }
}
#: frames that move, and frames that do not, of which WebP makes a file of another kind
CLIPS = {'moving': drift(5), 'still': drift(1).repeat(3, 0)}


def _written(folder, name, frames = CLIPS['moving'], settings = SETTINGS, **more):
    path = folder / f'clip{Path(TABLE[name].extension).suffix}'
    words = None if settings is None else provenance.settings_to_text(settings)
    TABLE[name].encode(Clip(frames, 15, settings = words, created = CREATED, **more), path)
    return path


def _photo(bundle):
    """The JPEG of a Live Photo, unpacked."""
    with zipfile.ZipFile(bundle) as packed:
        name = next(name for name in packed.namelist() if name.endswith('.JPG'))
        return Path(packed.extract(name, bundle.parent))


@pytest.mark.parametrize('frames', CLIPS.values(), ids = CLIPS)
@pytest.mark.parametrize('is_generated', [False, True])
@pytest.mark.parametrize('name', TABLE)
def test_every_file_tells_how_it_was_made(tmp_path, name, frames, is_generated):
    path = _written(tmp_path, name, frames, is_generated = is_generated)
    assert provenance.read_settings(path) == SETTINGS


@pytest.mark.parametrize('length', [1, 240, 241, 242, 496, 497, 5000])
@pytest.mark.parametrize('name', TABLE)
def test_words_of_any_length_come_back(tmp_path, name, length):
    found = {'words': 'x' * length}
    assert provenance.read_settings(_written(tmp_path, name, settings = found)) == found


def test_the_photo_of_a_live_photo_tells_it_alone(tmp_path):
    photo = _photo(_written(tmp_path, 'live-photo'))
    assert provenance.read_settings(photo) == SETTINGS
    assert json.loads(exiftool(photo)['ExifIFD:UserComment']) == SETTINGS


@pytest.mark.parametrize('is_generated', [False, True])
@pytest.mark.parametrize(('name', 'place'), [('gif', 'File:Comment'), ('mp4', 'ItemList:Comment'),
                                             ('webp', 'ExifIFD:UserComment'),
                                             ('motion-photo', 'ExifIFD:UserComment')])
def test_exiftool_reads_them_and_finds_nothing_wrong(tmp_path, name, place, is_generated):
    path = _written(tmp_path, name, is_generated = is_generated)
    assert json.loads(exiftool(path)[place]) == SETTINGS
    said = output_of('exiftool', '-validate', '-warning', '-a', path)
    assert b'OK' in said
    assert b'Warning' not in said


@pytest.mark.parametrize('name', ['gif', 'mp4'])
def test_ffprobe_reads_them(tmp_path, name):
    path = _written(tmp_path, name)
    found = json.loads(output_of('ffprobe', '-v', 'error', '-show_format', '-of', 'json', path))
    assert json.loads(found['format']['tags']['comment']) == SETTINGS


def _drawing():
    """The longest drawing that is taken, of numbers that repeat as little as may be, beside the longest texts."""
    place = iter(f'0.{number * 7919 % 9000 + 1000}' for number in range(10000))
    strokes = ','.join('{"points":[' + ','.join(f'[{next(place)},{next(place)}]'
                                                for _ in range(61)) +
                       '],"width":0.1234,"speed":1.234}' for _ in range(63))
    flow = parse_flow('{"strokes":[' + strokes + ']}')
    assert 63000 < len(flow) <= 65536
    texts = dict.fromkeys(('prompt', 'negative_prompt'), '\U0001f600' * 1000)
    used = {'Prompt': texts['prompt'], 'NegativePrompt': texts['prompt']}
    return SETTINGS | {
        'parameters': SETTINGS['parameters'] | {
            'flow': flow
        } | texts,
        'options': SETTINGS['options'] | {
            'WanOptions': used
        }
    }


@pytest.mark.parametrize(('name', 'place'), [('gif', 'File:Comment'), ('mp4', 'ItemList:Comment'),
                                             ('webp', 'ExifIFD:UserComment'),
                                             ('live-photo', 'ExifIFD:UserComment'),
                                             ('motion-photo', 'ExifIFD:UserComment')])
def test_the_longest_drawing_has_room_in_every_file(tmp_path, name, place):
    result = _drawing()
    path = _written(tmp_path, name, settings = result)
    assert provenance.read_settings(path) == result
    path = _photo(path) if name == 'live-photo' else path
    found = json.loads(exiftool(path)[place])
    packed = found['parameters'].pop('flow')['zlib']
    flow = zlib.decompress(base64.b64decode(packed)).decode()
    assert json.loads(flow) == json.loads(result['parameters']['flow'])
    assert b'Warning' not in output_of('exiftool', '-validate', '-warning', '-a', path)


@pytest.mark.parametrize('packed', [
    base64.b64encode(zlib.compress(b'x' * 10**7)).decode(),
    base64.b64encode(zlib.compress(b'x' * 10**4)[:-5]).decode(),
    base64.b64encode(zlib.compress(b'\xff' * 10**4)).decode(),
    base64.b64encode(b'no zlib').decode(), 'no base64', None, 7
])
def test_what_unpacks_to_something_else_is_no_settings(tmp_path, packed):
    path = tmp_path / 'clip.gif'
    found = json.dumps({'parameters': {'flow': {'zlib': packed}}})
    TABLE['gif'].encode(Clip(CLIPS['still'], 15, settings = found, created = CREATED), path)
    with pytest.raises(provenance.NoSettings):
        provenance.read_settings(path)


@pytest.mark.parametrize('frames', CLIPS.values(), ids = CLIPS)
def test_pillow_reads_them(tmp_path, frames):
    with Image.open(_written(tmp_path, 'gif', frames)) as image:
        assert json.loads(image.info['comment']) == SETTINGS
        assert image.info['loop'] == 0
    for name in ('webp', 'motion-photo'):
        with Image.open(_written(tmp_path, name, frames)) as image:
            words = image.getexif().get_ifd(0x8769)[0x9286]
        assert json.loads(words.removeprefix(b'ASCII\0\0\0')) == SETTINGS


@pytest.mark.parametrize('is_generated', [False, True])
@pytest.mark.parametrize('frames', CLIPS.values(), ids = CLIPS)
def test_the_judges_of_webp_and_gif_find_nothing_wrong(tmp_path, frames, is_generated):
    webp = _written(tmp_path, 'webp', frames, is_generated = is_generated)
    assert b'No error detected.' in output_of('webpinfo', webp)
    output_of('webpmux', '-get', 'exif', webp, '-o', tmp_path / 'exif')
    assert json.dumps(SETTINGS).encode() in (tmp_path / 'exif').read_bytes()
    gif = _written(tmp_path, 'gif', frames, is_generated = is_generated)
    assert not warnings_of('gifsicle', '-I', gif)
    assert b'loop forever' in output_of('gifsicle', '-I', gif)


def _shown(path):
    with Image.open(path) as image:
        return image.info.get('loop'), [(frame.convert('RGB').tobytes(), frame.info.get('duration'))
                                        for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize('frames', CLIPS.values(), ids = CLIPS)
@pytest.mark.parametrize('name', ['gif', 'webp'])
def test_pictures_are_the_same_with_them(tmp_path, name, frames):
    plain = _shown(_written(tmp_path, name, frames, None))
    assert _shown(_written(tmp_path, name, frames)) == plain


def test_a_video_is_the_same_with_them(tmp_path):
    seen = []
    for settings in (None, SETTINGS):
        path = _written(tmp_path, 'mp4', settings = settings)
        seen.append((decoded(path, 96, 160).tobytes(), streams(path)[0]['duration']))
    assert seen[0] == seen[1]


@pytest.mark.parametrize('name', TABLE)
def test_the_same_clip_is_the_same_file(tmp_path, name):
    first = _written(tmp_path, name).read_bytes()
    assert _written(tmp_path, name).read_bytes() == first


def test_other_settings_and_other_photos_get_other_identifiers():
    stills = [Clip(drift(count)[-1:], 15).still() for count in (1, 2)]
    words = [provenance.settings_to_text({'seed': seed}) for seed in (1, 2)]
    found = {live_photo.identify(still, each) for still in stills for each in words}
    assert len(found) == 4
    assert live_photo.identify(stills[0], words[0]) in found
    assert live_photo.identify(stills[0], None) != live_photo.identify(stills[0], None)


def test_names_and_times_are_those_of_the_asking(tmp_path):
    local = CREATED.astimezone()
    assert TABLE['motion-photo'].name('x', CREATED) == f'IMG_{local:%Y%m%d_%H%M%S}_MP.jpg'
    assert TABLE['gif'].name('x', CREATED) == 'x.gif'
    bundle = _written(tmp_path, 'live-photo')
    with zipfile.ZipFile(bundle) as packed:
        for entry in packed.infolist():
            assert entry.date_time == (*local.timetuple()[:5], local.second // 2 * 2)
            assert re.match(rf'IMG_{local:%Y%m%d_%H%M%S}_\d{{6}}\.pvt/', entry.filename)
    for photo in (_photo(bundle), _written(tmp_path, 'motion-photo')):
        assert exiftool(photo)['IFD0:ModifyDate'] == f'{local:%Y:%m:%d %H:%M:%S}'


def _refused(path):
    with pytest.raises(provenance.NoSettings) as raised:
        provenance.read_settings(path)
    return raised.value.text.in_('en')


@pytest.mark.parametrize('name', TABLE)
def test_a_file_without_any_says_so(tmp_path, name):
    assert 'does not tell' in _refused(_written(tmp_path, name, settings = None))


def test_files_of_others_have_none(tmp_path):
    for suffix in ('gif', 'webp', 'jpg', 'png', 'tiff'):
        Image.new('RGB', (8, 8)).save(tmp_path / f'a.{suffix}')
        assert 'does not tell' in _refused(tmp_path / f'a.{suffix}')
    (tmp_path / 'empty').write_bytes(b'')
    assert 'does not tell' in _refused(tmp_path / 'empty')


def test_what_cannot_be_opened_is_told(tmp_path):
    assert 'No such file' in _refused(tmp_path / 'none.gif')
    assert 'cannot be read' in _refused(tmp_path)


@pytest.mark.parametrize('words', [
    '', 'not json', '[]', '7', 'null', '"x"', '{', '{"a": NaN}', '{"a": -Infinity}', '[' * 60000,
    '{"a":' * 10000, '{"a": ' + '9' * 50000 + '}', '{"a": "' + 'x' * 70000 + '"}', '{"a": "\xe9"}'
])
def test_words_that_are_no_settings_are_refused(tmp_path, words):
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.gif', comment = words.encode())
    assert _refused(tmp_path / 'a.gif')


def test_a_photo_that_claims_more_bytes_than_its_zip_has_is_refused(tmp_path):
    path = tmp_path / 'a.pvt.zip'
    with zipfile.ZipFile(path, 'w') as bundle:
        bundle.writestr('a.JPG', b'\xff\xd8 no more')
    content = bytearray(path.read_bytes())
    # both sizes in the central directory
    place = content.index(b'PK\1\2') + 20
    content[place:place + 8] = struct.pack('<II', 10_000, 10_000)
    path.write_bytes(content)
    assert _refused(path)


@pytest.fixture(scope = 'module')
def whole(tmp_path_factory):
    """One file of every kind."""
    folder = tmp_path_factory.mktemp('whole')
    return {name: _written(folder, name, drift(2, 32, 16)).read_bytes() for name in TABLE}


@pytest.mark.parametrize('name', TABLE)
def test_a_file_that_breaks_off_anywhere_does_no_harm(tmp_path, whole, name):
    data = whole[name]
    for end in [*range(min(len(data), 2500)), *range(2500, len(data), 97)]:
        (tmp_path / 'part').write_bytes(data[:end])
        with contextlib.suppress(provenance.NoSettings):
            assert provenance.read_settings(tmp_path / 'part') == SETTINGS


@pytest.mark.parametrize('name', TABLE)
@hypothesis_settings(max_examples = 300, deadline = None)
@given(data = some.data())
def test_a_damaged_file_does_no_harm(tmp_path_factory, whole, name, data):
    content = bytearray(whole[name])
    for _ in range(data.draw(some.integers(1, 4))):
        at = data.draw(some.integers(0, min(len(content), 1500) - 4))
        content[at:at + 4] = data.draw(
            some.sampled_from([b'\xff' * 4, bytes(4), b'\0\0\0\1'])
            | some.binary(min_size = 4, max_size = 4))
    path = tmp_path_factory.getbasetemp() / f'damaged-{name}'
    path.write_bytes(content)
    with contextlib.suppress(provenance.NoSettings):
        assert isinstance(provenance.read_settings(path), dict)


@pytest.mark.parametrize('head', [
    b'GIF89a' + bytes(7) + b'!\xfe' + (b'\xff' + b'x' * 255) * 4000,
    struct.pack('>I4s', 16, b'ftyp') + bytes(8) + struct.pack('>I4s', 2**32 - 1, b'moov'),
    struct.pack('>I4s', 8, b'ftyp') + struct.pack('>I4s', 8, b'free') * 100_000,
    b'RIFF\xff\xff\xff\xffWEBPEXIF\xff\xff\xff\xff',
    b'RIFF\xff\xff\xff\xffWEBP' + (b'ANMF' + bytes(4)) * 100_000,
    b'\xff\xd8' + b'\xff\xe1\0\2' * 100_000,
    b'\xff\xd8\xff\xe1\0\0',
    b'PK\3\4' * 100_000,
    (b'PK\3\4' + bytes(26)) * 100_000,
])
def test_a_huge_file_is_not_read_as_a_whole(tmp_path, head):
    path = tmp_path / 'huge'
    with path.open('wb') as file:
        file.write(head)
        # a hole: on the disk it takes no room
        file.truncate(3 << 30)
    tracemalloc.start()
    _refused(path)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
