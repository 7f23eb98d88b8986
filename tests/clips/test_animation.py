#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The way from a photo to a file: the order of frames, and the still that goes with them.

Libraries: pytest, numpy, Pillow, pillow-heif.
"""

import dataclasses
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import stand_ins
from judges import decoded, drift, exiftool, psnr, scenery, streams
from PIL import ExifTags, Image
from stand_ins import table

from modules import errors
from modules.clips import notes
from modules.clips import order as sequence
from modules.clips.animator import Animator
from modules.configuration import Configuration
from modules.encoders import Clip
from modules.engines.registry import Engines
from modules.photos.reader import PhotoReader
from modules.photos.sizes import crop_to_ratio, result_size
from modules.progress import JobControl
from modules.request import parse_request

pytestmark = pytest.mark.usefixtures('exiftool_stays')

PLACE = {1: 'N', 2: (31.0, 14.0, 20.5), 3: 'E', 4: (121.0, 28.0, 40.25)}


def _numbered(count):
    """Frames that tell their numbers by their grey."""
    return np.arange(
        count, dtype = np.uint8)[:, None, None, None].repeat(2, 1).repeat(2, 2).repeat(3, 3)


def _shown(clip):
    return [int(frame[0, 0, 0]) for frame in clip.frames]


def _looped(count, loop, is_closed = False):
    return sequence.loop_frames(Clip(_numbered(count), 10), loop, is_closed = is_closed)


@pytest.mark.parametrize(('count', 'order'), [(1, [0]), (2, [0, 1]), (4, [0, 1, 2, 3, 2, 1])])
def test_pingpong_shows_neither_end_twice(count, order):
    assert _shown(_looped(count, 'pingpong')) == order


def test_without_a_loop_frames_stay_as_made():
    assert _shown(_looped(4, 'none')) == [0, 1, 2, 3]


def test_a_clip_that_is_closed_needs_no_crossfade():
    assert _shown(_looped(8, 'crossfade', is_closed = True)) == list(range(8))


@pytest.mark.parametrize('count', [1, 2])
def test_a_clip_too_short_for_a_crossfade_stays(count):
    assert len(_looped(count, 'crossfade').frames) == count


def test_a_crossfade_hides_where_the_clip_begins_anew():
    turned = np.roll(drift(24, 160, 96), 0, 0)
    looped = sequence.loop_frames(Clip(turned, 10), 'crossfade', is_closed = False)
    frames = np.stack(list(looped.frames)).astype(float)
    steps = [np.abs(frames[i] - frames[i - 1]).mean() for i in range(len(frames))]
    assert len(frames) == 18
    # step 0 is the one from the last frame back to the first
    assert steps[0] <= max(steps[1:])
    assert np.abs(turned[0] - turned[-1].astype(float)).mean() > steps[0]


def test_a_crossfade_mixes_the_end_with_the_beginning():
    frames = _shown(_looped(8, 'crossfade'))
    assert frames == [2, 3, 4, 5, round(6 * 2 / 3), round(7 / 3 + 2 / 3)]


@pytest.mark.parametrize(('key_frame', 'is_closed', 'order', 'index'), [
    ('start', False, [0, 1, 2, 3], 0),
    ('end', False, [3, 2, 1, 0], 3),
    ('middle', False, [3, 2, 1, 0, 1, 2, 3], 3),
    ('start', True, [0, 1, 2, 3], 0),
    ('end', True, [1, 2, 3, 0], 3),
    ('middle', True, [2, 3, 0, 1], 2),
])
def test_the_still_sits_where_it_should(key_frame, is_closed, order, index):
    clip = sequence.arrange_around_still(Clip(_numbered(4), 10), key_frame, is_closed = is_closed)
    assert (_shown(clip), clip.key_index) == (order, index)
    assert clip.frames[clip.key_index].max() == 0


@pytest.mark.parametrize('is_closed', [False, True])
@pytest.mark.parametrize('key_frame', ['start', 'middle', 'end'])
def test_a_single_frame_is_the_still(key_frame, is_closed):
    clip = sequence.arrange_around_still(Clip(_numbered(1), 10), key_frame, is_closed = is_closed)
    assert (_shown(clip), clip.key_index) == ([0], 0)


def _photo(tmp_path, size = (643, 387), name = 'photo.jpg', **more):
    scenery(*size).save(tmp_path / name, **more)
    return tmp_path / name


def _animate(tmp_path, photo, wanted, engine = 'Drifting', **output):
    """The file an animator writes."""
    model = dataclasses.replace(Configuration().model, engine = 'svd', output_frames = 8)
    options = dataclasses.replace(Configuration().output, **output)
    configuration = dataclasses.replace(Configuration(), model = model, output = options)
    engines = Engines(configuration, table(svd = engine))
    request = parse_request({'engine': 'svd', **wanted}.items(), photo, 'photo')
    path = tmp_path / 'result'
    Animator(configuration, PhotoReader(10**8), engines).animate(request, path, JobControl())
    return path


def _still(path):
    with Image.open(path) as image:
        return np.asarray(image.convert('RGB'))


def test_a_motion_photo_is_the_persons_own_photo(tmp_path):
    photo = _photo(tmp_path, (640, 384), quality = 95)
    path = _animate(tmp_path, photo, {'format': 'motion-photo'})
    assert psnr(_still(path), _still(photo)) > 40


def test_a_still_of_odd_size_loses_no_more_than_its_clips_shape_asks_for(tmp_path):
    photo = _photo(tmp_path, (643, 387), quality = 95)
    path = _animate(tmp_path, photo, {'format': 'motion-photo'})
    assert _still(path).shape == (386, 643, 3)
    assert psnr(_still(path), _still(photo)[:-1]) > 40


@pytest.mark.parametrize(('given', 'wanted', 'index'), [('end', None, 7), ('middle', None, 7),
                                                        ('end', 'start', 0)])
def test_the_owner_says_where_the_still_sits_unless_the_request_does(tmp_path, given, wanted,
                                                                     index):
    fields = {'format': 'motion-photo', 'key_frame': wanted or ''}
    path = _animate(tmp_path, _photo(tmp_path), fields, key_frame = given)
    moment = exiftool(path)['XMP-GCamera:MotionPhotoPresentationTimestampUs']
    assert moment == round(1e6 * index / 15)


@pytest.mark.parametrize(('engine', 'loop'), [('Closed', 'pingpong'), ('Closing', 'model')])
def test_a_closed_clip_is_not_played_backwards(tmp_path, engine, loop):
    path = _animate(tmp_path, _photo(tmp_path), {
        'format': 'motion-photo',
        'loop': loop,
        'smooth': '1'
    }, engine)
    data = path.read_bytes()
    (tmp_path / 'clip.mp4').write_bytes(data[data.index(b'ftyp') - 4:])
    video = streams(tmp_path / 'clip.mp4')[0]
    frames = decoded(tmp_path / 'clip.mp4', int(video['height']), int(video['width']))
    # it slides to the left, so a frame is the one before it, moved there
    assert psnr(np.roll(frames[0], -8, 1), frames[1]) > 30 > psnr(
        np.roll(frames[0], 8, 1), frames[1])


@pytest.mark.parametrize(('engine', 'loop', 'note'), [('Drifting', 'model', 'notes.not_closed'),
                                                      ('Drifting', 'crossfade', None),
                                                      ('Closing', 'model', None),
                                                      ('Closed', 'model', None)])
def test_a_loop_that_the_engine_cannot_close_is_told_of(engine, loop, note):
    request = parse_request([('loop', loop), ('engine', 'svd')], Path('photo'), 'photo')
    found = notes.explain_loop(getattr(stand_ins, engine), request)
    assert (found and found.key) == note


@pytest.mark.parametrize(('preset', 'is_said'), [('fast', True), ('draft', False),
                                                 ('quality', False)])
def test_a_preset_that_changes_nothing_is_told_of(preset, is_said):

    class Few(stand_ins.Instant):
        parameters = ('seed', 'preset')
        presets = ('quality', 'draft')

    request = parse_request([('preset', preset), ('engine', 'svd')], Path('photo'), 'photo')
    found = notes.explain_unused(Few, request, Configuration().model)
    assert (found is not None and found.values['fields'] == 'preset') == is_said


@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_a_turned_photo_is_upright_in_photo_and_movie(tmp_path, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = _animate(tmp_path, _photo(tmp_path, (640, 384), exif = exif), {'format': 'live-photo'})
    with zipfile.ZipFile(path) as bundle:
        bundle.extractall(tmp_path)
    photo, movie = next(tmp_path.glob('*.pvt/*.JPG')), next(tmp_path.glob('*.pvt/*.MOV'))
    video = streams(movie)[0]
    size = int(video['width']), int(video['height'])
    frames = decoded(movie, size[1], size[0])
    with Image.open(photo) as image:
        assert image.size == ((384, 640) if orientation in (6, 8) else (640, 384))
        assert image.getexif()[ExifTags.Base.Orientation] == 1
        assert psnr(np.asarray(image.resize(size)), frames[-1]) > 24


def test_where_frames_are_blurred_the_still_is_too(tmp_path):
    photo, wanted = _photo(tmp_path, (1280, 768)), {'format': 'motion-photo', 'blur': '1'}
    # an engine that does not know how to blur
    sharp = _still(_animate(tmp_path, photo, wanted))
    assert sharp.shape == (768, 1280, 3)
    model = dataclasses.replace(
        Configuration().model, engine = 'camera', seconds = 1, image_prompt_width = 256)
    configuration = dataclasses.replace(Configuration(), model = model)
    request = parse_request({'engine': 'camera', **wanted}.items(), photo, 'photo')
    animator = Animator(configuration, PhotoReader(10**8), Engines(configuration))
    animator.animate(request, tmp_path / 'result', JobControl())
    soft = _still(tmp_path / 'result')
    again = Image.fromarray(sharp).resize((soft.shape[1], soft.shape[0]), Image.Resampling.LANCZOS)
    assert soft.shape[0] < 768
    assert psnr(soft, np.asarray(again)) < 35


def test_transparency_becomes_white(tmp_path):
    image = scenery(200, 120)
    image.putalpha(0)
    image.save(tmp_path / 'photo.png')
    path = _animate(tmp_path, tmp_path / 'photo.png', {'format': 'motion-photo'})
    assert _still(path).min() > 250


@pytest.mark.parametrize(('size', 'ratio', 'kept'), [
    ((4020, 2261), (1024, 576), (4020, 2261)),
    ((33, 21), (32, 20), (33, 21)),
    ((2268, 4032), (576, 1024), (2268, 4032)),
    ((3000, 3000), (1024, 576), (3000, 1688)),
    ((1000, 3000), (576, 1024), (1000, 1778)),
    ((1, 1), (2, 2), (1, 1)),
])
def test_a_still_has_the_clips_shape_and_as_much_of_the_photo_as_that_allows(size, ratio, kept):
    assert crop_to_ratio(Image.new('L', size), ratio).size == kept


def test_what_is_cut_off_is_the_same_on_both_sides():
    picture = Image.new('L', (100, 50))
    picture.putpixel((25, 0), 255)
    assert crop_to_ratio(picture, (50, 50)).getpixel((0, 0)) == 255


def _dated(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = 'Somebody'
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = '2019:05:04 12:34:56'
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(PLACE)
    return _photo(tmp_path, exif = exif)


@pytest.mark.parametrize('ending', ['heic', 'png', 'webp', 'tiff'])
def test_the_date_is_kept_whatever_the_kind_of_photo(tmp_path, ending):
    pillow_heif.register_heif_opener()
    with Image.open(_dated(tmp_path)) as image:
        image.save(tmp_path / f'photo.{ending}', exif = image.getexif())
    path = _animate(tmp_path, tmp_path / f'photo.{ending}', {'format': 'motion-photo'})
    assert exiftool(path)['ExifIFD:DateTimeOriginal'] == '2019:05:04 12:34:56'


def test_broken_exif_is_left_behind(tmp_path):
    content = bytearray(_dated(tmp_path).read_bytes())
    start = content.index(b'Exif') + 14
    content[start:start + 40] = b'\xff' * 40
    (tmp_path / 'photo.jpg').write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        path = _animate(tmp_path, tmp_path / 'photo.jpg', {'format': 'motion-photo'})
    assert 'IFD0:Make' not in exiftool(path)


@pytest.mark.parametrize('keeps', [False, True])
@pytest.mark.parametrize('format', ['gif', 'webp', 'mp4', 'live-photo', 'motion-photo'])
def test_a_place_is_told_only_where_the_owner_keeps_it(tmp_path, format, keeps):
    path = _animate(tmp_path, _dated(tmp_path), {'format': format}, keep_location = keeps)
    if format == 'live-photo':
        with zipfile.ZipFile(path) as bundle:
            bundle.extractall(tmp_path)
        path = next(tmp_path.glob('*.pvt/*.JPG'))
    tags = exiftool(path)
    places = [value for name, value in tags.items() if 'GPS' in name]
    if not keeps or not format.endswith('photo'):
        assert not places
    else:
        assert tags['GPS:GPSLatitude'] == pytest.approx(31 + 14 / 60 + 20.5 / 3600)
        assert tags['Composite:GPSLongitude'] == pytest.approx(121 + 28 / 60 + 40.25 / 3600)
    if format.endswith('photo'):
        assert (tags['IFD0:Make'], tags['ExifIFD:DateTimeOriginal']) == ('Somebody',
                                                                         '2019:05:04 12:34:56')


@pytest.mark.parametrize(('engine', 'is_told'), [('Drifting', False), ('Generative', True)])
@pytest.mark.parametrize('format', ['gif', 'webp', 'mp4', 'motion-photo'])
def test_motion_is_told_to_be_made_up_where_the_engine_does_that(tmp_path, format, engine, is_told):
    path = _animate(tmp_path, _photo(tmp_path), {'format': format}, engine)
    assert ('XMP-iptcExt:DigitalSourceType' in exiftool(path)) == is_told


@pytest.mark.parametrize(('loop', 'count'), [('none', 8), ('pingpong', 14), ('crossfade', 6)])
@pytest.mark.parametrize('format', ['gif', 'webp', 'mp4'])
def test_a_loop_lasts_as_long_as_its_frames(tmp_path, format, loop, count):
    path = _animate(tmp_path, _photo(tmp_path), {'format': format, 'loop': loop})
    if format == 'mp4':
        assert float(streams(path)[0]['duration']) == pytest.approx(count / 15, abs = 1e-4)
        return
    with Image.open(path) as image:
        total = 0
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            total += image.info['duration']
    assert total == pytest.approx(1000 * count / 15, abs = 10)


class Flowing(stand_ins.Drifting):
    """The same, as frames that are made while they are taken."""

    def animate(self, photo, request, control):
        first = np.asarray(photo.image.resize(result_size(photo.full_size, 160 * 96)))
        return (np.roll(first, -number, 1) for number in range(self.model.output_frames))


def _flowing(tmp_path, frames, **fields):
    """An animator and a request of it."""
    model = dataclasses.replace(Configuration().model, output_frames = frames)
    configuration = dataclasses.replace(Configuration(), model = model)
    engines = Engines(configuration, {'camera': (__name__, 'Flowing')})
    request = parse_request({'engine': 'camera', **fields}.items(), _photo(tmp_path), 'photo')
    return Animator(configuration, PhotoReader(10**8), engines), request


@pytest.mark.parametrize('format', ['gif', 'webp', 'mp4', 'live-photo', 'motion-photo'])
def test_a_long_clip_is_never_in_memory_as_a_whole(tmp_path, format):
    peaks = []
    for frames in (2, 40, 160):
        fields = {'format': format, 'key_frame': 'middle', 'loop': 'crossfade', 'smooth': '1'}
        animator, request = _flowing(tmp_path, frames, **fields)
        tracemalloc.start()
        try:
            animator.animate(request, tmp_path / 'result', JobControl())
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    # a file of its size may be in memory, and is put together there
    file = 2 * (tmp_path / 'result').stat().st_size
    assert peaks[2] - peaks[1] < file + 20 * 160 * 96 * 3


@pytest.mark.parametrize('format', ['gif', 'webp', 'mp4', 'live-photo', 'motion-photo'])
def test_writing_goes_on_step_by_step_and_ends_where_the_clip_is_no_longer_wanted(tmp_path, format):
    animator, request = _flowing(tmp_path, 40, format = format, smooth = '1')
    steps = []

    def follow(progress):
        if progress.phase == 'writing':
            steps.append((progress.step, progress.steps))

    def stop():
        if len(steps) > 9:
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        animator.animate(request, tmp_path / 'result', JobControl(follow, stop))
    assert steps == [(number, 40) for number in range(10)]
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


class Smooth(Flowing):
    """The same, at thirty frames a second."""

    def __init__(self, *options, **more):
        super().__init__(*options, **more)
        self.fps = 30


@pytest.mark.parametrize(('fps', 'frames'), [(15, 20), (12, 16), (30, 40), (60, 40), (1, 1)])
def test_a_gif_has_the_owners_frames_a_second_and_lasts_as_long(tmp_path, fps, frames):
    model = dataclasses.replace(Configuration().model, output_frames = 40, output_fps = fps)
    configuration = dataclasses.replace(Configuration(), model = model)
    engines = Engines(configuration, {'camera': (__name__, 'Smooth')})
    animator = Animator(configuration, PhotoReader(10**8), engines)
    for kind, count, total in (('gif', frames, 1330), ('webp', 40, 1333), ('mp4', 40, None)):
        request = parse_request({'engine': 'camera', 'format': kind}.items(), _photo(tmp_path), 'a')
        animator.animate(request, tmp_path / 'result', JobControl(), keep = tmp_path)
        if kind == 'mp4':
            stream, = streams(tmp_path / 'result')
            assert (stream['avg_frame_rate'], stream['nb_frames']) == ('30/1', '40')
            assert float(stream['duration']) == pytest.approx(4 / 3, abs = 1e-3)
            continue
        with Image.open(tmp_path / 'result') as image:
            assert getattr(image, 'n_frames', 1) == count
            durations = []
            for number in range(count):
                image.seek(number)
                image.load()
                durations.append(image.info.get('duration', total))
        assert sum(durations) == pytest.approx(total, abs = 5)
        assert max(durations) - min(durations) <= 10


@pytest.mark.parametrize(('fields', 'unused'), [
    ({}, ''),
    ({
        'noise_aug_strength': '0.02',
        'preset': 'quality',
        'loop': 'pingpong'
    }, ''),
    ({
        'noise_aug_strength': '0.5'
    }, 'noise_aug_strength'),
    ({
        'seconds': '2',
        'preset': 'draft'
    }, 'preset, seconds'),
    ({
        'flow': '{"strokes": [{"points": [[0, 0], [1, 1]]}]}'
    }, 'flow'),
])
def test_fields_that_the_engine_does_not_understand_are_noted(tmp_path, fields, unused):
    animator, request = _flowing(tmp_path, 2, **fields)
    note = animator.animate(animator.with_defaults(request), tmp_path / 'result', JobControl()).note
    assert (note.values['fields'] if note else '') == unused
    assert not note or unused in note.in_('en') and unused in note.in_('zh')


def test_nobody_asks_for_more_seconds_than_the_owner_allows(tmp_path):
    animator, request = _flowing(tmp_path, 2, seconds = '10')
    assert animator.with_defaults(request).seconds == 10
    animator.model = dataclasses.replace(animator.model, max_seconds = 9.5)
    with pytest.raises(errors.OutOfRange) as refused:
        animator.with_defaults(request)
    assert refused.value.field == 'seconds' and '9.5' in refused.value.text.in_('en')
