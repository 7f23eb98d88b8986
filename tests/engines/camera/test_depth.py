#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The depth model of camera motion: small models of the real classes as ONNX files, cheaper ones of a few operators, and
stand-ins that see what a test wants.

Libraries: pytest, numpy, OpenCV, Pillow, onnxruntime; torch, transformers and onnx, to make small models.
"""

import dataclasses
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import hub
import numpy as np
import program
import pytest
import tiny_depth
import torch
import transformers
from camera import HEIGHT, WIDTH, animated, noise, options
from PIL import Image

from modules import configuration, i18n, weights
from modules.clips import provenance
from modules.clips.animator import Animator
from modules.commands import again, animate, arguments, doctor
from modules.commands import download as shell
from modules.configuration import ROOT
from modules.engines import TABLE
from modules.engines.camera import depth_model as depths
from modules.engines.camera import depth_network
from modules.engines.camera import engine as camera_motion
from modules.engines.camera import path as paths
from modules.engines.camera.depth_model import MODEL, Depth
from modules.engines.camera.files import DEPTH
from modules.engines.camera.layers import make_layers, source_of
from modules.engines.camera.view import hold_size, plan_views, travel_in_pixels
from modules.engines.contract import DepthUse
from modules.engines.registry import Engines
from modules.engines.stable_video.files import VIDEO
from modules.photos.reader import PhotoReader
from modules.progress import JobControl
from modules.request import parse_request
from modules.weights import sources
from modules.weights.download import Observer, download
from modules.weights.plan import Terms
from modules.weights.web import Patience

#: the near thing in the photo, and two places behind it, each as wide
THING, LEFT, RIGHT = np.s_[120:240, 260:380], np.s_[120:240, 30:150], np.s_[120:240, 490:610]


@pytest.fixture(scope = 'module')
def weights_of_torch(tmp_path_factory):
    return tiny_depth.make(tmp_path_factory.mktemp('checkpoint'))


@pytest.fixture(scope = 'module')
def checkpoint(tmp_path_factory, weights_of_torch):
    return tiny_depth.export(weights_of_torch, tmp_path_factory.mktemp('exported'))


@pytest.fixture
def laid(tmp_path, checkpoint):
    """Options under which the checkpoint is the depth model, and its folder."""
    folder = tmp_path / 'models' / DEPTH.hub_name
    folder.parent.mkdir(parents = True)
    folder.symlink_to(checkpoint)
    return options(tmp_path / 'models')


def note_keys(reported):
    return [progress.note.values['reason'].key for progress in reported if progress.note]


def square(near = 9.0, far = 1.0):
    """Disparity of a thing before a wall, at the scale at which models look."""
    disparity = np.full((HEIGHT, WIDTH), far, np.float32)
    disparity[THING] = near
    return cv2.resize(disparity, (924, 518), interpolation = cv2.INTER_NEAREST)


def moved(frames, box):
    """How far what is in a box of frame 0 moves sideways in each frame, in pixels."""
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[box].astype(np.float32) for frame in frames]
    window = cv2.createHanningWindow(greys[0].shape[::-1], cv2.CV_32F)
    return np.array([cv2.phaseCorrelate(greys[0], grey, window)[0][0] for grey in greys])


# what is seen moves the picture


def test_the_near_thing_moves_more_than_what_is_behind_it(laid):
    frames, engine = animated(laid, noise(), square())
    # a zoom draws what lies left and right apart; their mean is free of it
    thing, behind = moved(frames, THING), (moved(frames, LEFT) + moved(frames, RIGHT)) / 2
    assert np.abs(thing).max() > 5 and np.abs(thing).max() > 2.5 * np.abs(behind).max()
    # nearer than the pivot moves against the camera, farther with it
    assert np.corrcoef(thing, behind)[0, 1] < -0.9
    assert engine.settings(None)['Depth'] == MODEL


def test_what_has_less_disparity_is_taken_for_farther(laid):
    frames, _engine = animated(laid, noise(), square(near = 1.0, far = 9.0))
    thing, behind = moved(frames, THING), (moved(frames, LEFT) + moved(frames, RIGHT)) / 2
    assert np.abs(behind).max() > 1.5 * np.abs(thing).max()


def test_the_scale_of_disparity_is_of_no_account(laid):
    one, _engine = animated(laid, noise(), square())
    other, _engine = animated(laid, noise(), 1000 * square() + 250)
    assert np.abs(one.astype(int) - other).max() <= 1


def test_specks_change_nothing_and_a_few_outliers_nothing_elsewhere(laid):
    frames, _engine = animated(laid, noise(), square())
    specks, corner = square(), square()
    specks[259:262, 150], specks[100, 100] = 1e9, -1e9
    assert (animated(laid, noise(), specks)[0] == frames).all()
    corner[-20:, -20:] = -1e6
    deep, _engine = animated(laid, noise(), corner)
    for box in (THING, LEFT):
        assert moved(deep, box) == pytest.approx(moved(frames, box), abs = 0.3)


CHANCE = np.random.default_rng(3)
#: maps that no well-behaved model gives
ROUGH = {
    'noise': CHANCE.random((518, 924)),
    'salt': (CHANCE.random((518, 924)) > 0.98).astype(float),
    'checks': np.indices((518, 924)).sum(0) // 60 % 2 * 1.0,
    'halves': np.repeat([[0.0] * 400 + [1.0] * 524], 518, 0),
    'rim': np.pad(np.zeros((398, 804)), 60, constant_values = 7.0),
    'slope': np.linspace(0, 1, 924)[None] * np.ones((518, 1)),
    'blocks': cv2.resize(CHANCE.random((7, 12)), (924, 518), interpolation = cv2.INTER_NEAREST),
}


@pytest.mark.parametrize('name', ROUGH)
@pytest.mark.parametrize('size', [(320, 180), (150, 350), (600, 45)])
def test_no_border_shows_whatever_is_seen(name, size):
    pixels = cv2.resize(noise(), size)
    rough = ROUGH[name].astype(np.float32)
    near = cv2.resize(rough / rough.max(), size)
    travel = camera_motion.LEAST_TRAVEL + camera_motion.MORE_TRAVEL
    for move in ('orbit', 'push-in', 'pan-left', 'rise', 'dolly-zoom'):
        shot = paths.Shot(paths.choose_path(move, 1, 8), travel)
        shot, held = hold_size(shot, near)
        made = make_layers(pixels, cv2.resize(pixels, (2 * size[0] - 1, 2 * size[1] - 1)), held,
                           travel_in_pixels(shot, size))
        for view in plan_views(shot, held, made.rims)[2:7:2]:
            found, _code = made.find_depth(made.moved, view, pixels.shape)
            columns, rows = source_of(view, found, 1, 0)
            assert columns.min() > -0.75 and columns.max() < size[0] - 0.25
            assert rows.min() > -0.75 and rows.max() < size[1] - 0.25


def test_frame_0_is_the_photo_and_the_clip_closes(laid):
    pixels = noise()
    frames, _engine = animated(laid, pixels, ROUGH['blocks'].astype(np.float32))
    assert (frames[0] == pixels).all()
    steps = [
        np.abs(a.astype(int) - b).mean()
        for a, b in zip(frames, np.roll(frames, 1, 0), strict = True)
    ]
    assert 0 < steps[0] <= 1.1 * max(steps[1:])


# where the model tells nothing, the guess does


@pytest.mark.parametrize(
    'seen', [
        np.full((518, 924), 4.0, np.float32),
        np.zeros((518, 924), np.float32),
        np.full((518, 924), 4.0, np.float32) + CHANCE.random((518, 924)).astype(np.float32) / 50
    ],
    ids = ['constant', 'nothing', 'nearly constant'])
def test_where_everything_is_equally_far_the_guess_is_taken(laid, tmp_path, seen):
    notes = []
    frames, engine = animated(laid, noise(), seen, report = lambda p: notes.append(p.note))
    guessed, _engine = animated(options(tmp_path / 'none'), noise())
    assert (frames == guessed).all()
    assert 'Depth' not in engine.settings(None)
    assert not any(notes)


@pytest.mark.parametrize(
    'fault', [RuntimeError('not enough memory: you tried to allocate 99 bytes'),
              MemoryError()],
    ids = str)
def test_a_photo_at_which_the_model_fails_is_guessed_and_that_is_told(laid, tmp_path, fault):
    reports = []
    frames, engine = animated(laid, noise(), fault, square(), report = reports.append)
    assert (frames == animated(options(tmp_path / 'none'), noise())[0]).all()
    assert note_keys(reports) == ['engines.depth_failed']
    assert 'Depth' not in engine.settings(None)
    animated(laid, noise(), engine = engine)
    assert engine.settings(None)['Depth'] == MODEL


def test_a_file_that_gives_no_numbers_for_a_photo_is_not_asked_again(laid):
    reports, fault = [], ValueError('it gives what are no numbers')
    _frames, engine = animated(laid, noise(), fault, square(), report = reports.append)
    animated(laid, noise(), engine = engine, report = reports.append)
    assert note_keys(reports) == ['engines.depth_failed', 'engines.depth_cannot_load']
    assert 'Depth' not in engine.settings(None)


# the real classes


def test_a_real_checkpoint_is_found_loaded_and_used(laid):
    reports = []
    frames, engine = animated(laid, noise(), report = reports.append)
    assert engine.status().depth == DepthUse(MODEL)
    assert engine.settings(None)['Depth'] == MODEL
    assert (frames != animated(options(Path('/nowhere')), noise())[0]).any()
    assert [progress.phase for progress in reports] == ['encoding'] + 12 * ['step']


def test_old_scripts_leave_it_without_its_owner(tmp_path, checkpoint):
    (tmp_path / 'depth-anything-v2-small').symlink_to(checkpoint)
    assert Depth(options(tmp_path)).unavailable() is None


@pytest.mark.parametrize('size', [(360, 640), (500, 300), (71, 43), (80, 220)])
def test_the_answer_is_that_of_the_published_classes(weights_of_torch, checkpoint, size):
    """Also how the picture is prepared: transformers does that for itself here."""
    picture = cv2.resize(noise(), size[::-1])
    ours = depth_network.DepthAnything(checkpoint / 'onnx' / 'model.onnx').disparity(picture)
    prepare = transformers.AutoImageProcessor.from_pretrained(weights_of_torch)
    model = transformers.DepthAnythingForDepthEstimation.from_pretrained(weights_of_torch).eval()
    with torch.inference_mode():
        pixels = prepare(images = Image.fromarray(picture), return_tensors = 'pt')['pixel_values']
        theirs = model(pixel_values = pixels).predicted_depth[0].numpy()
    assert ours.shape == theirs.shape
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] >= 0.9999


def test_without_their_description_pictures_are_taken_as_the_published_model_takes_them(tmp_path):
    (tmp_path / depth_network.DESCRIPTION).write_text(json.dumps(tiny_depth.PICTURES), 'utf-8')
    usual = depth_network.Pictures()
    assert depth_network.Pictures.read(tmp_path) == usual
    assert depth_network.Pictures.read(tmp_path / 'none') == usual
    assert usual.fit(1024, 576) == (924, 518)


@pytest.mark.parametrize('size', [(8, 8), (16, 24), (400, 9000), (8, 16000), (16000, 8)])
def test_photos_of_any_shape_are_looked_at_and_panoramas_not_at_full_length(tmp_path, size):
    published = depth_network.DepthAnything(tiny_depth.draw(tmp_path / 'onnx' / 'model.onnx'))
    seen = published.disparity(np.zeros((*size, 3), np.uint8))
    assert seen.dtype == np.float32 and seen.ndim == 2 and max(seen.shape) < 3 * 518


AGAIN = '''
import hashlib, sys
sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
import camera
frames, engine = camera.animated(camera.options(Path({home!r})), camera.noise())
print(hashlib.sha256(frames).hexdigest(), engine.settings(None)['Depth'])
'''


def test_another_process_gives_the_same_bytes_and_asks_nobody(laid):
    home = str(laid.store.models_home)
    code = AGAIN.format(tests = str(ROOT / 'tests' / 'support'), root = str(ROOT), home = home)
    with hub.Hub(hub.model(100)).serving() as server:
        isolated = {'HF_ENDPOINT': server.url, 'HTTPS_PROXY': closed_port(), 'HF_HUB_OFFLINE': '0'}
        other = subprocess.run([sys.executable, '-c', code],
                               env = os.environ | isolated,
                               capture_output = True,
                               text = True,
                               check = True)
    frames, _engine = animated(laid, noise())
    assert other.stdout.split() == [hashlib.sha256(frames).hexdigest(), MODEL]
    assert server.requests == []


def closed_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return f'http://127.0.0.1:{probe.getsockname()[1]}'


def test_a_model_that_comes_is_taken_into_use_with_the_next_photo(tmp_path, checkpoint):
    configuration = options(tmp_path)
    _frames, engine = animated(configuration, noise())
    assert engine.status().depth.reason.key == 'engines.depth_no_weights'
    assert engine.status().fetchable == DEPTH.key
    (tmp_path / 'depth-anything-v2-small').symlink_to(checkpoint)
    assert (engine.status().depth, engine.status().fetchable) == (DepthUse(MODEL), '')
    animated(configuration, noise(), engine = engine)
    assert engine.settings(None)['Depth'] == MODEL


UNTOUCHED = '''
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
from PIL import Image
from modules.configuration import Configuration, ModelOptions, StoreOptions
from modules.engines.camera.engine import CameraMotion
from modules.photos.sizes import Photo
from modules.progress import JobControl
from modules.request import parse_request
engine = CameraMotion(Configuration(
    model = ModelOptions(seconds = 2 / 30, depth = {depth!r}),
    store = StoreOptions(models_home = Path({home!r}))))
engine.load()
image = Image.new('RGB', (64, 36))
request = parse_request([('seed', '1')], Path(), 'photo')
list(engine.animate(Photo(image, image.size), request, JobControl()))
reason = engine.status().depth.reason
assert (reason and reason.key) == {reason!r}, reason
sys.exit(any(name in sys.modules for name in {unwanted!r}))
'''


@pytest.mark.parametrize(('depth', 'has_model', 'reason'),
                         [('auto', False, 'engines.depth_no_weights'), ('auto', True, None),
                          ('prior', True, 'engines.depth_set_aside')])
def test_onnxruntime_is_imported_for_nothing_but_a_model_and_torch_for_none(
        laid, tmp_path, depth, has_model, reason):
    home = laid.store.models_home if has_model else tmp_path / 'none'
    code = UNTOUCHED.format(
        tests = str(ROOT / 'tests' / 'support'),
        root = str(ROOT),
        home = str(home),
        depth = depth,
        reason = reason,
        unwanted = ('torch', 'transformers', *(['onnxruntime'] if reason else [])))
    assert subprocess.run([sys.executable, '-c', code], check = False).returncode == 0


def test_without_a_model_the_guess_gives_the_same_frames_as_when_it_is_asked_for(laid, tmp_path):
    without, engine = animated(options(tmp_path / 'none'), noise())
    wanted = dataclasses.replace(laid.model, depth = 'prior')
    set_aside, _engine = animated(dataclasses.replace(laid, model = wanted), noise())
    assert (without == set_aside).all()
    assert 'Depth' not in engine.settings(None)


def test_while_libraries_of_other_engines_are_being_installed_the_model_is_used(laid):
    engines = Engines(laid, {'camera': TABLE['camera']}, lambda: True)
    engine = engines.get('camera')
    assert engine.status().reason is None and engine.status().depth == DepthUse(MODEL)


def test_says_which_library_is_missing(laid, monkeypatch):
    monkeypatch.setattr(depths, 'missing_libraries', lambda *names: [*names])
    reports = []
    frames, engine = animated(laid, noise(), report = reports.append)
    reason = engine.status().depth.reason
    assert reason.key == 'engines.depth_no_libraries'
    assert all('onnxruntime' in reason.in_(language) for language in i18n.LANGUAGES)
    assert note_keys(reports) == ['engines.depth_no_libraries']
    assert (frames == animated(options(Path('/nowhere')), noise())[0]).all()


def copied(checkpoint, folder, change):
    """A copy of a checkpoint in which something is not as it should be."""
    shutil.copytree(checkpoint, folder)
    change(folder / 'onnx' / 'model.onnx')
    return folder / 'onnx' / 'model.onnx'


def drawn(**differences):
    return lambda path: tiny_depth.draw(path, **differences)


def other_graph(path):
    """Whole as a file, and of no meaning: the graph has the bytes of a name."""
    path.write_bytes(bytes([8, 9, 58, 5]) + b'graph' + bytes([66, 2, 16, 18]))


def with_description(**words):

    def write(path):
        description = path.parent.parent / depth_network.DESCRIPTION
        found = json.loads(description.read_text(encoding = 'utf-8'))
        description.write_text(json.dumps({**found, **words}), encoding = 'utf-8')

    return write


FAULTY = {
    'no graph': other_graph,
    'no numbers': drawn(answer = 'nan'),
    'the same everywhere': drawn(answer = 'constant'),
    'with another input': drawn(taken = 'image'),
    'with another output': drawn(given = 'logits'),
    'with strange pictures': with_description(image_mean = 'grey'),
    'with pictures of no size': with_description(size = {}),
    'with enormous pictures': with_description(size = {
        'height': 10**6,
        'width': 10**6
    }),
}


@pytest.mark.parametrize('fault', FAULTY)
def test_a_file_that_cannot_be_used_is_named_and_set_aside_and_the_guess_is_taken(
        tmp_path, checkpoint, fault, caplog):
    path = copied(checkpoint, tmp_path / DEPTH.hub_name, FAULTY[fault])
    reports, short = [], options(tmp_path, seconds = 2 / 30)
    frames, engine = animated(short, noise(), report = reports.append)
    status = engine.status()
    assert (status.reason, status.fetchable, status.depth.model) == (None, '', None)
    assert status.depth.reason.key == 'engines.depth_cannot_load'
    assert all(str(path) in status.depth.reason.in_(language) for language in i18n.LANGUAGES)
    assert note_keys(reports) == ['engines.depth_cannot_load']
    assert (frames == animated(options(tmp_path / 'none', seconds = 2 / 30), noise())[0]).all()
    # not tried for every clip, but once more when it has changed
    caplog.clear()
    animated(short, noise(), engine = engine)
    assert not [record for record in caplog.records if record.exc_info]
    shutil.copytree(checkpoint, tmp_path / DEPTH.hub_name, dirs_exist_ok = True)
    os.utime(path)
    animated(short, noise(), engine = engine)
    assert engine.settings(None)['Depth'] == MODEL


def test_beside_a_file_that_cannot_be_used_another_is_taken(tmp_path, checkpoint):
    path = copied(checkpoint, tmp_path / DEPTH.hub_name, drawn(answer = 'nan'))
    tiny_depth.draw(path.with_name('model_int8.onnx'))
    _frames, engine = animated(options(tmp_path), noise())
    assert engine.settings(None)['Depth'] == MODEL


@pytest.mark.parametrize('variant', ['_fp16', '_int8', '_quantized'])
def test_other_forms_of_the_file_are_taken_where_they_are(tmp_path, variant):
    tiny_depth.draw(tmp_path / DEPTH.hub_name / 'onnx' / f'model{variant}.onnx')
    assert Depth(options(tmp_path)).unavailable() is None


def test_half_precision_is_given_what_it_takes(tmp_path):
    path = tiny_depth.draw(tmp_path / DEPTH.hub_name / 'onnx' / 'model_fp16.onnx', half = True)
    seen = depth_network.DepthAnything(path).disparity(noise())
    assert seen.dtype == np.float32 and np.ptp(seen) > 0


@pytest.mark.parametrize('made', ['drawn', 'exported'])
def test_a_file_that_was_cut_short_is_not_taken_for_a_whole_one(tmp_path, checkpoint, made):
    path = tmp_path / DEPTH.hub_name / 'onnx' / 'model.onnx'
    tiny_depth.draw(path)
    content = path.read_bytes()
    if made == 'exported':
        content = (checkpoint / 'onnx' / 'model.onnx').read_bytes()
    pointer = b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 99060839\n'
    step = max(1, len(content) // 50)
    cut = [content[:length] for length in (*range(0, len(content), step), len(content) - 1)]
    for damaged in (*cut, content + b'more', pointer):
        path.write_bytes(damaged)
        assert weights.find(options(tmp_path), DEPTH) is None, len(damaged)
    path.write_bytes(content)
    assert weights.find(options(tmp_path), DEPTH)


def test_it_is_found_where_the_library_of_the_hub_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv('HF_HUB_CACHE', str(tmp_path))
    snapshot = tmp_path / f'models--{DEPTH.hub_name.replace("/", "--")}' / 'snapshots' / '0123'
    tiny_depth.draw(snapshot / 'onnx' / 'model.onnx')
    assert weights.find(options(tmp_path / 'none'), DEPTH) == snapshot


# told


@pytest.mark.parametrize('language', i18n.LANGUAGES)
def test_doctor_tells_what_reads_the_depth_and_tries_it(laid, tmp_path, checkpoint, language):

    def shown_depth(configuration):
        return dict(doctor.report(configuration, Engines(configuration),
                                  language))[i18n.words(language)['doctor']['depth']]

    assert shown_depth(laid) == MODEL
    assert DEPTH.hub_name in shown_depth(options(tmp_path / 'none'))
    copied(checkpoint, tmp_path / 'faulty' / DEPTH.hub_name, FAULTY['no numbers'])
    assert str(tmp_path / 'faulty') in shown_depth(options(tmp_path / 'faulty'))


def test_the_result_tells_the_model_and_that_no_picture_was_made_up(laid, tmp_path):
    photo, keep = tmp_path / 'a.png', tmp_path / 'kept'
    Image.fromarray(noise()).save(photo)
    keep.mkdir()
    animator = Animator(laid, PhotoReader(10**8), Engines(laid))
    request = dataclasses.replace(
        parse_request([('seed', '1')], photo, 'a'), engine = 'camera', key_frame = 'end')
    outcome = animator.animate(request, tmp_path / 'a.gif', JobControl(), keep = keep)
    assert outcome.model == MODEL
    assert provenance.read_settings(tmp_path / 'a.gif')['options']['ModelOptions']['Depth'] == MODEL
    made = provenance.Provenance.read(keep / 'settings.json')
    assert made.model == MODEL and not made.is_generated
    assert b'DigitalSourceType' not in (tmp_path / 'a.gif').read_bytes()


INI = '''[StoreOptions]
ModelsHome = {home}
[ModelOptions]
Engine = camera
Depth = {depth}
ImagePromptWidth = 192
ImagePromptHeight = 64
Seconds = 1
OutputFPS = 4
'''


def made(folder, home, *argv, depth = 'auto'):
    """What ``animate`` does where models are in ``home``."""
    config = folder / 'used.ini'
    config.write_text(INI.format(home = home, depth = depth))
    found = arguments.parse(['animate', '--config', str(config), *map(str, argv)], 'en')
    read = configuration.read(found.config, found.overrides)
    animator = Animator(read, PhotoReader(read.web.max_pixels), Engines(read))
    assert animate.animate(animator, found, 'en') == 0


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(noise()).save(tmp_path / 'a.png')
    return tmp_path / 'a.png'


def bytes_of(folder, *names):
    return [(folder / f'{name}.gif').read_bytes() for name in names]


def test_what_was_guessed_is_made_anew_by_guessing_though_a_model_has_come(laid, tmp_path, photo):
    made(tmp_path, tmp_path / 'none', photo, '--seed', 2)
    made(tmp_path, laid.store.models_home, '--again', tmp_path / 'a.gif', photo)
    made(tmp_path, laid.store.models_home, photo, '--seed', 2)
    first, anew, with_model = bytes_of(tmp_path, 'a', 'a-2', 'a-3')
    assert first == anew != with_model


def test_what_a_model_saw_is_made_anew_with_it_though_the_ini_sets_it_aside(laid, tmp_path, photo):
    made(tmp_path, laid.store.models_home, photo, '--seed', 2)
    made(tmp_path, laid.store.models_home, '--again', tmp_path / 'a.gif', photo, depth = 'prior')
    first, anew = bytes_of(tmp_path, 'a', 'a-2')
    assert first == anew
    assert again.read_result(tmp_path / 'a.gif').overrides['ModelOptions', 'Depth'] == MODEL


def test_says_that_it_cannot_be_made_anew_where_the_model_is_not(laid, tmp_path, photo, capsys):
    made(tmp_path, laid.store.models_home, photo, '--seed', 2)
    made(tmp_path, tmp_path / 'none', '--again', tmp_path / 'a.gif', photo)
    said = capsys.readouterr().err
    assert 'is not on this computer' in said and 'estimated by rules instead' in said
    assert 'Depth' not in provenance.read_settings(tmp_path / 'a-2.gif')['options']['ModelOptions']


# fetched


@pytest.fixture(scope = 'module')
def files(checkpoint):
    """A repository as the real one has it: what is needed, and more."""
    needed = {name: (checkpoint / name).read_bytes() for name in NEEDED}
    return needed | {'README.md': b'words', '.gitattributes': b'', 'onnx/model_int8.onnx': b'more'}


@pytest.fixture
def server(files):
    with hub.Hub(files, DEPTH.hub_name).serving() as running:
        yield running


NEEDED = ['onnx/model.onnx', 'preprocessor_config.json']


def terms(server):
    return Terms((sources.Hub(server.url), ), Patience(timeout = 3, attempts = 2, pause = 0), 0)


@pytest.mark.parametrize('language', i18n.LANGUAGES)
def test_the_shell_fetches_what_is_needed_and_tells_the_licence(server, tmp_path, capsys, language):
    wanted = options(tmp_path)
    assert shell.fetch(wanted, language, terms(server), DEPTH) == 0
    folder = weights.find(wanted, DEPTH)
    assert folder == tmp_path / DEPTH.hub_name
    here = sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())
    assert here == server.paths() == NEEDED
    assert weights.find(wanted, VIDEO) is None
    said, bar = capsys.readouterr()
    assert DEPTH.hub_name in said and 'tiny-community' in said and str(folder) in said
    assert '100%' in bar


def test_a_download_that_breaks_off_goes_on(server, files, tmp_path):
    server.cut, reports = 60_000, []
    download(options(tmp_path), DEPTH, Observer(reports.append), terms(server))
    assert server.bytes_sent == sum(len(files[name]) for name in NEEDED) == reports[-1].bytes_done


def test_what_is_no_depth_model_is_not_taken(server, tmp_path):
    for name in ('onnx/model.onnx', 'onnx/model_int8.onnx'):
        del server.listed[name]
    with pytest.raises(weights.WeightsError) as caught:
        download(options(tmp_path), DEPTH, Observer(), terms(server))
    assert caught.value.text.key == 'weights.no_depth_model'
    assert all(DEPTH.hub_name in caught.value.text.in_(language) for language in i18n.LANGUAGES)


def test_the_host_that_is_named_for_the_other_model_is_asked_first(tmp_path):
    wanted = dataclasses.replace(
        options(tmp_path, model_name = '/elsewhere'),
        installation = configuration.InstallationOptions(
            model_repository_url = 'https://hf-mirror.com/stabilityai/other'))
    assert sources.list_sources(wanted, DEPTH)[0].endpoint == 'https://hf-mirror.com'


SERVED = '''
[InstallationOptions]
ModelRepositoryUrl = {url}
[StoreOptions]
ModelsHome = models
OutputsHome = outputs
[ModelOptions]
Engine = camera
ImagePromptWidth = 192
ImagePromptHeight = 128
Seconds = 1
OutputFPS = 3
'''


def test_a_running_program_takes_what_was_fetched_beside_it_and_says_so(server, tmp_path):
    content = io.BytesIO()
    Image.fromarray(noise()).save(content, 'PNG')
    isolated = {'HTTPS_PROXY': closed_port(), 'HF_HOME': str(tmp_path / 'home'), 'HF_ENDPOINT': ''}
    with program.started(
            tmp_path, SERVED.format(url = server.url), environment = isolated) as (_process, port):
        program.ready(port)

        def shown_depth(language):
            return program.call(port, 'GET', f'/health?lang={language}').json['depth']

        def page():
            return program.call(port, 'GET', '/?lang=en').body.decode()

        assert shown_depth('zh')['model'] is None and '深度模型' in shown_depth('zh')['reason']
        assert 'download depth' in shown_depth('en')['reason'] and shown_depth(
            'en')['reason'] in page()
        assert 'No AI model is loaded' in page().split('class="card"')[1].split('<form')[0]
        fetched = subprocess.run([
            sys.executable, ROOT / '__main__.py', 'download', '--depth', '--config',
            tmp_path / 'test.ini'
        ],
                                 env = os.environ | isolated,
                                 check = False)
        assert fetched.returncode == 0
        assert shown_depth('en') == {'model': MODEL, 'reason': None}
        card = page().split('class="card"')[1].split('<form')[0]
        assert 'The AI model Depth Anything V2 tells near from far' in card
        assert 'No AI' not in card and '<span data-words="svd">Stable Video Diffusion</span>' in card
        answer = program.generate(port, content.getvalue(), timeout = 120)
        (tmp_path / 'made.gif').write_bytes(answer.body)
        assert provenance.read_settings(tmp_path /
                                        'made.gif')['options']['ModelOptions']['Depth'] == MODEL
        job = program.call(port, 'GET', f'/jobs/{answer.headers["X-Job-Id"]}').json
        assert (job['engine'], job['model']) == ('camera', MODEL)


def test_it_comes_by_itself_and_clips_made_meanwhile_say_so(server, tmp_path):
    """Without a restart, and without a question."""
    content = io.BytesIO()
    Image.fromarray(noise()).save(content, 'PNG')
    isolated = {'HTTPS_PROXY': closed_port(), 'HF_HOME': str(tmp_path / 'home'), 'HF_ENDPOINT': ''}
    server.gate.clear()
    with program.started(
            tmp_path, SERVED.format(url = server.url), ['--fetch', 'depth'],
            environment = isolated) as (_process, port):

        def clip():
            answer = program.generate(port, content.getvalue(), timeout = 120)
            assert answer.status == 200
            job = program.call(port, 'GET', f'/jobs/{answer.headers["X-Job-Id"]}?lang=en').json
            return job['model'], {result['note'] for result in job['results'] if result['bytes']}

        def health():
            return program.call(port, 'GET', '/health?lang=en').json

        program.until(lambda: server.paths() != [])
        assert 'is being downloaded' in health()['depth']['reason']
        model, (note, ) = clip()
        assert model is None and 'is being downloaded' in note and 'estimated by rules' in note
        server.gate.set()
        program.until(lambda: health()['models']['depth']['here'])
        assert health()['depth'] == {'model': MODEL, 'reason': None}
        assert clip() == (MODEL, {None})
    said = (tmp_path / 'log').read_text()
    assert f'{DEPTH.hub_name}, 99 MB, Apache-2.0' in said and 'set Depth = prior' in said
    # told once, not at the next start
    with program.started(
            tmp_path, SERVED.format(url = server.url), ['--fetch', 'depth'],
            environment = isolated):
        assert 'Apache-2.0' not in (tmp_path / 'log').read_text()


@pytest.mark.parametrize('depth', ['auto', 'prior'])
def test_without_a_network_nothing_waits_and_nothing_fails(tmp_path, depth):
    content = io.BytesIO()
    Image.fromarray(noise()).save(content, 'PNG')
    away = {'HTTPS_PROXY': closed_port(), 'HF_HOME': str(tmp_path / 'home'), 'HF_ENDPOINT': ''}
    ini = SERVED.format(url = '') + f'Depth = {depth}\n'
    with program.started(tmp_path, ini, ['--fetch', 'depth'], environment = away) as (_one, port):
        answer = program.generate(port, content.getvalue(), timeout = 120)
        assert answer.status == 200
        program.until(lambda: program.call(port, 'GET', '/health').json['models']['depth'][
            'download']['state'] in ('failed', 'idle'))
    said = (tmp_path / 'log').read_text()
    lines = [line for line in said.splitlines() if 'depth' in line or 'huggingface' in line]
    assert len(lines) == (2 if depth == 'auto' else 0), said
