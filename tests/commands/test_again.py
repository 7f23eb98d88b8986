#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Results made anew from what they tell: the same bytes, and nothing that a hostile file asks for.

Libraries: pytest, Pillow, hypothesis.
"""

import copy
import json
from pathlib import Path

import pytest
from animating import run_animate
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some
from judges import drift, exiftool, scenery
from PIL import Image

from modules import configuration, encoders
from modules.clips import provenance
from modules.commands import again, arguments
from modules.encoders import Clip

#: the INI a result is made under, and one that differs in all that matters
MADE = '''[ModelOptions]
Engine = camera
ImagePromptWidth = 192
ImagePromptHeight = 64
Seconds = 1
OutputFPS = 5
[OutputOptions]
KeyFrame = middle
KeepLocation = True
GifMaxBytes = 20000
'''
#: the first without a limit, under which a GIF is made again and again
UNLIMITED = MADE.replace('GifMaxBytes = 20000\n', '')
OTHER = '''[ModelOptions]
ImagePromptWidth = 128
ImagePromptHeight = 128
Seconds = 1.1
OutputFPS = 20
[OutputOptions]
KeyFrame = start
KeepLocation = True
'''
SETTINGS = {
    'software': 'turn-live-photos 0.1.0',
    'created': '2026-03-04T05:06:07+00:00',
    'parameters': {
        'motion_bucket_id': 127,
        'noise_aug_strength': 0.02,
        'max_guidance_scale': 3.0,
        'seed': 5,
        'format': 'gif',
        'engine': 'camera',
        'loop': 'none',
        'key_frame': 'end'
    },
    'options': {
        'ModelOptions': {
            'OutputFPS': 15,
            'ImageFit': 'crop',
            'UNet': True,
            'DecodeChunkSize': None
        },
        'OutputOptions': {
            'GifMaxBytes': 0,
            'KeepLocation': False
        }
    }
}


@pytest.mark.parametrize('name', encoders.TABLE)
def test_a_result_is_made_anew_to_the_byte(tmp_path, name):
    extension = encoders.TABLE[name].extension
    photo, result = tmp_path / 'a.jpg', tmp_path / f'a{extension}'
    # a place and a date, which some formats keep
    exif = scenery(8, 8).getexif()
    exif.get_ifd(0x8825).update({1: 'N', 2: (1.0, 2.0, 3.0)})
    scenery(400, 150).save(photo, exif = exif)
    run_animate(tmp_path, MADE, photo, '--format', name, '--motion-bucket-id', 200, '--loop',
                'pingpong', '--smooth', 2)
    run_animate(tmp_path, OTHER, '--again', result, photo)
    anew = tmp_path / f'a-2{extension}'
    assert anew.read_bytes() == result.read_bytes()
    assert provenance.read_settings(anew)['options']['ModelOptions']['OutputFPS'] == 5


def test_the_other_ini_makes_another_file(tmp_path):
    scenery(400, 150).save(tmp_path / 'a.jpg')
    for ini in (MADE, OTHER):
        run_animate(tmp_path, ini, tmp_path / 'a.jpg', '--seed', 3)
    one, other = ((tmp_path / name).read_bytes() for name in ('a.gif', 'a-2.gif'))
    assert one != other


def _result(folder, settings):
    """A small file that tells something."""
    path = folder / 'result.gif'
    encoders.TABLE['gif'].encode(
        Clip(drift(1, 16, 16), 15, settings = provenance.settings_to_text(settings)), path)
    return path


def test_what_holds_is_taken(tmp_path):
    found = again.read_result(_result(tmp_path, SETTINGS))
    assert dict(found.fields) == {
        name: str(value)
        for name, value in SETTINGS['parameters'].items()
    }
    assert found.overrides == {
        ('ModelOptions', 'OutputFPS'): '15',
        ('ModelOptions', 'ImageFit'): 'crop',
        ('ModelOptions', 'UNet'): 'True',
        # what tells of no depth model was made without one
        ('ModelOptions', 'Depth'): 'prior',
        # nor had frames between frames
        ('ModelOptions', 'Smooth'): '1',
        ('OutputOptions', 'GifMaxBytes'): '0'
    }
    assert configuration.read(None, found.overrides).model.image_fit == 'crop'
    assert found.created.isoformat() == SETTINGS['created']


def test_no_file_makes_a_photo_tell_its_place(tmp_path):
    photo = tmp_path / 'a.jpg'
    exif = scenery(8, 8).getexif()
    exif.get_ifd(0x8825).update({1: 'N', 2: (1.0, 2.0, 3.0)})
    scenery(400, 150).save(photo, exif = exif)
    run_animate(tmp_path, MADE, photo, '--format', 'motion-photo', '-o', tmp_path / 'strangers.jpg')
    assert 'GPS:GPSLatitude' in exiftool(tmp_path / 'strangers.jpg')
    own = OTHER.replace('KeepLocation = True\n', '')
    run_animate(tmp_path, own, '--again', tmp_path / 'strangers.jpg', photo, '-o',
                tmp_path / 'own.jpg')
    assert 'GPS:GPSLatitude' not in exiftool(tmp_path / 'own.jpg')


def test_a_file_need_not_tell_when_it_was_asked_for(tmp_path):
    settings = {key: value for key, value in SETTINGS.items() if key != 'created'}
    assert again.read_result(_result(tmp_path, settings)).created is None


@pytest.mark.parametrize(('model', 'is_taken'), [('owner/name', True), ('o.w-n/n_a.m-e', True),
                                                 ('folder', False), ('/a/b', False),
                                                 ('../b', False), ('a/..', False), ('a/b/c', False),
                                                 ('', False), ('C:\\a/b', False), ('-a/b', False),
                                                 ('a/b.safetensors', False)])
def test_a_model_is_taken_from_the_hub_alone(tmp_path, model, is_taken):
    settings = copy.deepcopy(SETTINGS)
    settings['options']['ModelOptions']['ModelName'] = model
    found = again.read_result(_result(tmp_path, settings)).overrides
    assert (('ModelOptions', 'ModelName') in found) == is_taken


@pytest.mark.parametrize(('folder', 'is_taken'), [('owner/name/', True), ('owner/name/v.1/', True),
                                                  ('', False), ('/srv/loras/', False),
                                                  ('owner/name/../../../etc/', False),
                                                  ('owner/', False)])
def test_files_for_few_steps_are_taken_from_the_hub_alone(tmp_path, folder, is_taken):
    settings = copy.deepcopy(SETTINGS)
    settings['options']['WanOptions'] = {
        'Lora': f'{folder}high.safetensors, {folder}low.safetensors'
    }
    found = again.read_result(_result(tmp_path, settings)).overrides
    assert (('WanOptions', 'Lora') in found) == is_taken


#: a place in the settings, what an edit puts there, and what is said of it
EDITS = [
    (('parameters', 'seed'), -1, 'seed takes a number from 0'),
    (('parameters', 'seed'), '9' * 4000, 'seed takes'),
    (('parameters', 'seed'), '', 'seed takes a number'),
    (('parameters', 'seed'), True, 'seed takes a number'),
    (('parameters', 'seed'), [1], 'seed is neither'),
    (('parameters', 'noise_aug_strength'), 2, 'noise_aug_strength takes'),
    (('parameters', 'format'), 'exe', 'format takes one of'),
    (('parameters', 'engine'), '../x', 'engine takes one of'),
    (('parameters', 'key_frame'), 'x\x1b[2J', 'key_frame is neither'),
    (('parameters', 'out\x1b[2J'), 'x', 'called out\\x1b'),
    (('parameters', 'output'), '/etc/passwd', 'no setting called output'),
    (('parameters', ), [], 'parameters should'),
    (('parameters', ), None, 'parameters should'),
    (('options', ), 'x', 'options should'),
    (('options', 'ModelOptions'), 7, 'ModelOptions should'),
    (('options', 'ModelOptions', 'OutputFrames'), 10**9, 'OutputFrames = 1000000000'),
    (('options', 'ModelOptions', 'ImagePromptWidth'), 100, 'multiple of 64'),
    (('options', 'ModelOptions', 'ImageFit'), 'none', 'ImageFit = none'),
    (('options', 'ModelOptions', 'ImageFit'), {}, 'ImageFit is neither'),
    (('options', 'ModelOptions', 'Hook'), 'x', 'no setting called Hook'),
    (('options', 'WebOptions'), {
        'Host': '0.0.0.0'
    }, 'no setting called WebOptions'),
    (('options', 'StoreOptions'), {
        'ModelsHome': 'elsewhere'
    }, 'no setting called StoreOptions'),
    (('options', 'InstallationOptions'), {}, 'no setting called'),
    (('created', ), 'yesterday', 'valid time'),
    (('created', ), '2026-03-04T05:06:07', 'valid time'),
    (('created', ), '0001-01-01T00:00:00+00:00', 'valid time'),
    (('created', ), '9999-12-31T23:59:59-23:00', 'valid time'),
    (('created', ), 5, 'valid time'),
]


def _edited(place, value):
    settings = copy.deepcopy(SETTINGS)
    inner = settings
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return settings


@pytest.mark.parametrize(('place', 'value', 'words'), EDITS)
def test_an_edited_result_is_refused_with_a_sentence(tmp_path, capsys, place, value, words):
    path = _result(tmp_path, _edited(place, value))
    with pytest.raises(SystemExit) as ended:
        arguments.parse(['animate', '--again', str(path), 'a.jpg'], 'en')
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert 'are not valid' in said
    assert words in said
    assert '\x1b' not in said


@pytest.mark.parametrize('name', ['parameters', 'options'])
def test_a_part_that_is_missing_is_told(tmp_path, name):
    settings = {key: value for key, value in SETTINGS.items() if key != name}
    with pytest.raises(provenance.NoSettings):
        again.read_result(_result(tmp_path, settings))


VALUES = some.recursive(
    some.none() | some.booleans() | some.integers()
    | some.floats(allow_nan = False, allow_infinity = False)
    | some.text(max_size = 20),
    lambda inner: some.lists(inner, max_size = 3) | some.dictionaries(
        some.sampled_from(['parameters', 'options', 'ModelOptions', 'OutputFPS', 'seed', 'x']),
        inner),
    max_leaves = 8)
PLACES = sorted({place for place, _value, _words in EDITS}, key = str)


@hypothesis_settings(max_examples = 200, deadline = None)
@given(place = some.sampled_from(PLACES), value = VALUES)
def test_whatever_stands_there_it_is_taken_or_refused(tmp_path_factory, place, value):
    path = _result(tmp_path_factory.getbasetemp(), _edited(place, value))
    try:
        found = again.read_result(path)
    except provenance.NoSettings as error:
        assert error.text.in_('zh')
        assert error.text.in_('en')
    else:
        configuration.read(None, found.overrides)


@pytest.fixture
def result(tmp_path):
    return _result(tmp_path, SETTINGS)


def _printed(capsys, *argv):
    with pytest.raises(SystemExit) as ended:
        arguments.parse(['animate', *map(str, argv)], 'en')
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_without_its_photo_nothing_is_made(result, capsys):
    assert 'Name the photo too' in _printed(capsys, '--again', result)


def test_one_result_is_made_of_one_photo(result, capsys):
    assert 'name no more than one' in _printed(capsys, '--again', result, 'a.jpg', 'b.jpg')
    assert 'name no more than one' in _printed(capsys, '--again', result, result.parent)


def test_a_result_that_is_not_there_is_told(tmp_path, capsys):
    assert 'cannot be read' in _printed(capsys, '--again', tmp_path / 'none.gif', 'a.jpg')


def test_options_that_are_given_go_first(result):
    path = _result(result.parent, _edited(('options', 'ModelOptions', 'ModelName'), 'owner/name'))
    found = arguments.parse(['animate', '--again', str(path), 'a.jpg', '--engine', 'svd'], 'en')
    assert found.overrides['ModelOptions', 'Engine'] == 'svd'
    assert found.overrides['ModelOptions', 'ModelName'] == 'owner/name'
    assert 'engine' not in dict(found.again.fields)
    found = arguments.parse(['--model', 'my/own', 'animate', '--again', str(path), 'a.jpg'], 'en')
    assert found.overrides['ModelOptions', 'ModelName'] == 'my/own'
    assert dict(found.again.fields)['engine'] == 'camera'


def test_serving_reads_no_result(tmp_path):
    found = arguments.parse(['serve', '--again', str(tmp_path / 'none')], 'en')
    assert (found.again, found.photos) == (None, ())


def test_a_result_tells_nothing_of_the_machine(tmp_path):
    scenery(64, 64).save(tmp_path / 'a.jpg')
    run_animate(tmp_path, MADE, tmp_path / 'a.jpg')
    settings = json.dumps(provenance.read_settings(tmp_path / 'a.gif'))
    assert str(tmp_path) not in settings
    assert Path.home().name not in settings.split('"')


@pytest.mark.parametrize(('frames', 'fps', 'seconds'), [(25, 15, 1.66667), (30, 10, 3), (14, 15, 1),
                                                        (200, 7, 10)])
def test_a_clip_of_a_number_of_frames_is_made_again_as_long_as_it_was(tmp_path, frames, fps,
                                                                      seconds):
    settings = copy.deepcopy(SETTINGS)
    settings['options']['ModelOptions'] = {'OutputFPS': fps, 'OutputFrames': frames}
    found = again.read_result(_result(tmp_path, settings))
    assert configuration.read(None, found.overrides).model.seconds == pytest.approx(seconds)


@pytest.mark.parametrize('recorded', [{'ModelName': 'a/b'}, {'Seconds': None}])
def test_a_models_clip_is_made_again_of_as_many_frames(tmp_path, recorded):
    settings = copy.deepcopy(SETTINGS)
    settings['options']['ModelOptions'] = {'OutputFPS': 15, 'OutputFrames': 14, **recorded}
    found = again.read_result(_result(tmp_path, settings))
    assert found.overrides['ModelOptions', 'Seconds'] == ''
    assert configuration.read(None, found.overrides).model.seconds is None


def test_a_gif_of_25_frames_is_made_again_of_the_same_25(tmp_path):
    scenery(400, 150).save(tmp_path / 'a.jpg')
    settings = copy.deepcopy(SETTINGS)
    settings['options']['ModelOptions'] = {'OutputFPS': 15, 'OutputFrames': 25}
    result = _result(tmp_path, settings)
    run_animate(tmp_path, OTHER, '--again', result, tmp_path / 'a.jpg', '-o', tmp_path / 'b.gif')
    with Image.open(tmp_path / 'b.gif') as image:
        assert image.n_frames == 25


@pytest.mark.parametrize('seconds', ['1.5', ''])
def test_a_result_remembers_how_long_it_is(tmp_path, seconds):
    scenery(400, 150).save(tmp_path / 'a.jpg')
    given = ('--seconds', seconds) if seconds else ()
    run_animate(tmp_path, UNLIMITED, tmp_path / 'a.jpg', *given)
    run_animate(tmp_path, OTHER, '--again', tmp_path / 'a.gif', tmp_path / 'a.jpg')
    one, other = ((tmp_path / name).read_bytes() for name in ('a.gif', 'a-2.gif'))
    assert one == other


def test_a_result_remembers_how_the_camera_moved(tmp_path):
    scenery(400, 150).save(tmp_path / 'a.jpg')
    run_animate(tmp_path, UNLIMITED, tmp_path / 'a.jpg', '--move', 'pan-left', '--focus', '0.3,.6',
                '--blur', '0.4')
    settings = dict(again.read_result(tmp_path / 'a.gif').fields)
    assert (settings['move'], settings['focus'], settings['blur']) == ('pan-left', '0.3,0.6', '0.4')
    run_animate(tmp_path, OTHER, '--again', tmp_path / 'a.gif', tmp_path / 'a.jpg')
    one, other = ((tmp_path / name).read_bytes() for name in ('a.gif', 'a-2.gif'))
    assert one == other


def test_a_result_remembers_what_flowed(tmp_path):
    scenery(400, 150).save(tmp_path / 'a.jpg')
    # more than stands in a file as it is
    points = [[i / 500, 0.5 + (i * 7919 % 1000) / 5000] for i in range(400)]
    drawn = {'strokes': [{'points': points}], 'pins': [{'points': [[0.5, 0.5]]}]}
    (tmp_path / 'flow.json').write_text(json.dumps(drawn), encoding = 'utf-8')
    run_animate(tmp_path, UNLIMITED, tmp_path / 'a.jpg', '--flow', tmp_path / 'flow.json')
    settings = dict(again.read_result(tmp_path / 'a.gif').fields)
    assert len(json.loads(settings['flow'])['strokes'][0]['points']) == 400
    run_animate(tmp_path, OTHER, '--again', tmp_path / 'a.gif', tmp_path / 'a.jpg')
    one, other = ((tmp_path / name).read_bytes() for name in ('a.gif', 'a-2.gif'))
    assert one == other
    run_animate(tmp_path, UNLIMITED, tmp_path / 'a.jpg', '--seed', settings['seed'])
    assert (tmp_path / 'a-3.gif').read_bytes() != one


def test_every_move_makes_another_clip(tmp_path):
    scenery(400, 150).save(tmp_path / 'a.jpg')
    made = set()
    for move in ('orbit', 'push-in', 'pan-left', 'still'):
        run_animate(tmp_path, UNLIMITED, tmp_path / 'a.jpg', '--seed', 3, '--move', move, '-o',
                    tmp_path / 'b.gif')
        with Image.open(tmp_path / 'b.gif') as image:
            image.seek(2)
            made.add(image.convert('RGB').tobytes())
    assert len(made) == 4
