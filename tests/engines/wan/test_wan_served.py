#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Wan through the whole program: both kinds in small, behind the real server, in a fleet, on the command line, from a hub.

Libraries: pytest, torch, diffusers, numpy, Pillow.
"""

import contextlib
import dataclasses
import io
import shutil
from types import SimpleNamespace

import crashing
import fleet
import hub
import numpy
import program
import pytest
from animating import run_animate
from program import until

from app import create_app
from modules.clips import lossless
from modules.clips.provenance import read_settings
from modules.clips.writer import FRAMES
from modules.commands import doctor, download
from modules.configuration import QueueOptions, StoreOptions, WebOptions
from modules.engines.registry import Engines
from modules.engines.wan.files import WAN, describe_lora
from modules.weights.plan import Terms
from modules.weights.sources import Hub

pytest.importorskip('torch')
pytest.importorskip('diffusers')

import tiny_svd  # noqa: E402
import tiny_wan  # noqa: E402
import wan_program  # noqa: E402
from tiny_svd import photo, request  # noqa: E402


@pytest.fixture(scope = 'module', params = ['small', 'large'])
def kind(request, tmp_path_factory):
    """A kind of Wan, in small, among models."""
    home = tmp_path_factory.mktemp('models')
    name = f'somebody/tiny-{request.param}'
    (home / name).mkdir(parents = True)
    folder = getattr(tiny_wan, f'make_{request.param}')(home / name)
    return SimpleNamespace(
        home = home, name = name, folder = folder, can_close = request.param == 'large')


def picture():
    content = io.BytesIO()
    photo(120, 80).image.save(content, 'PNG')
    return content.getvalue()


def submit(port, *fields):
    body, headers = program.form(fields, [('file', 'a.png', picture())])
    return program.call(port, 'POST', '/jobs', body, headers)


def kept_frames(outputs, identity):
    with lossless.KeptFrames(outputs / identity / FRAMES) as frames:
        return numpy.stack(list(frames))


def expected_frames(kind, home, **fields):
    """What the engine alone makes of the photo."""
    engine = tiny_wan.loaded(kind.folder, home)
    return tiny_svd.animate(engine, photo(120, 80), request(**fields))


def test_the_page_asks_what_should_happen_and_the_program_makes_it(kind, tmp_path):
    web = WebOptions(port = 0)
    options = dataclasses.replace(
        tiny_wan.configured(kind.folder, tmp_path / 'home', {'steps': 20}, engine = 'wan'),
        web = web)
    app = create_app(options, tmp_path / 'outputs')
    with program.served(app, web) as port:
        program.ready(port)
        assert program.call(port, 'GET', '/health').json['engine'] == 'wan'
        page = program.call(port, 'GET', '/').body.decode()
        assert 'name="prompt"' in page and 'name="negative_prompt"' in page
        assert 'name="motion_bucket_id"' not in page
        assert ('<option value="model" data-words="loop_model">' in page) is kind.can_close
        assert 'data-words="preset_balanced_wan"' in page and 'data-words="preset_draft"' in page
        fields = [('prompt', 'wind'), ('format', 'webp'), ('seed', '7')]
        answer = program.generate(port, picture(), fields)
        assert (answer.status, answer.headers['X-Engine']) == (200, 'wan')
        refused = program.generate(port, picture(), [('prompt', 'x' * 1001)])
        assert (refused.status, refused.json['code'], refused.json['field']) == (400, 'too_long',
                                                                                 'prompt')
    # viewers tell people by this that a model made it up
    assert b'trainedAlgorithmicMedia' in answer.body


def test_a_clip_that_was_at_work_when_the_program_was_killed_is_made_after_all(kind, tmp_path):
    outputs = tmp_path / 'outputs'
    with wan_program.served(kind.folder, tmp_path) as (process, port):
        program.ready(port)
        identity = submit(port, ('seed', '7'), ('prompt', 'wind'), ('format', 'webp')).json['id']
        until(lambda: fleet.fetch_job(port, identity)['step'] == 2)
        process.kill()
        process.wait()
    assert not crashing.is_recorded(outputs, identity)
    (tmp_path / 'gate').touch()
    with wan_program.served(kind.folder, tmp_path) as (_process, port):
        until(lambda: fleet.fetch_job(port, identity)['finished'])
        assert fleet.fetch_job(port, identity)['state'] == 'done'
    expected = expected_frames(kind, tmp_path, prompt = 'wind')
    assert numpy.array_equal(kept_frames(outputs, identity), expected)


@pytest.fixture
def start_worker(kind, tmp_path):
    """What starts a worker with the models of a folder, in this process; and the port of a web process without any."""
    with contextlib.ExitStack() as running:
        redis = running.enter_context(fleet.redis_server(tmp_path))
        options = dataclasses.replace(
            tiny_wan.configured(kind.name, tmp_path / 'none', seconds = 1),
            web = WebOptions(port = 0, requests_per_minute = 0),
            queue = QueueOptions(broker = redis.url))
        app = create_app(options, tmp_path / 'outputs')
        port = running.enter_context(program.served(app, options.web))

        def start(home):
            own = dataclasses.replace(options, store = StoreOptions(models_home = home))
            return fleet.start_worker(running, own, Engines(own))

        yield start, port


@pytest.mark.skipif(not shutil.which('redis-server'), reason = 'needs redis-server')
def test_of_a_fleet_whoever_has_the_model_makes_its_clips(kind, start_worker, tmp_path):
    start, port = start_worker

    def engine_in_use():
        return program.call(port, 'GET', '/health').json['engine']

    def make(engine):
        answer = submit(port, ('engine', engine), ('seed', '7'), ('prompt', 'wind'))
        assert answer.status == 202, answer.body
        identity = answer.json['id']
        until(lambda: fleet.fetch_job(port, identity)['finished'])
        job = fleet.fetch_job(port, identity)
        assert job['state'] == 'done', job
        return job

    start(tmp_path / 'none')
    program.ready(port)
    assert make('auto')['engine'] == 'camera'
    refused = submit(port, ('engine', 'wan'))
    assert (refused.status, refused.json['code']) == (503, 'engine_unavailable')
    worker, thread = start(kind.home)
    until(lambda: engine_in_use() == 'wan')
    made = make('auto')
    assert (made['engine'], made['model']) == ('wan', kind.name)
    expected = expected_frames(kind, tmp_path, seconds = 1, prompt = 'wind')
    assert numpy.array_equal(kept_frames(tmp_path / 'outputs', made['id']), expected)
    assert make('camera')['engine'] == 'camera'
    worker.stop()
    thread.join(20)
    until(lambda: engine_in_use() == 'camera')
    assert make('auto')['engine'] == 'camera'


INI = '''[StoreOptions]
ModelsHome = {home}
[ModelOptions]
Engine = wan
[WanOptions]
ModelName = {name}
'''


def test_a_clip_with_files_for_few_steps_that_closes_its_loop_is_made_again(kind, tmp_path):
    """By an owner who has the same files, and set none of it."""
    ini = INI.format(home = kind.home, name = kind.name)
    own = f'{ini}Width = 96\nHeight = 64\nFrames = 9\n'
    if kind.can_close:
        pytest.importorskip('peft')
        files = tiny_wan.make_lora(kind.home / 'somebody' / 'loras')
        own += f'Lora = {", ".join(f"somebody/loras/{file.name}" for file in files)}\n'
    else:
        own += 'Steps = 3\n'
    path = tmp_path / 'a.png'
    path.write_bytes(picture())
    run_animate(tmp_path, own, path, '--format', 'webp', '--loop', 'model', '--prompt', 'wind')
    run_animate(tmp_path, ini, '--again', tmp_path / 'a.webp', path)
    assert (tmp_path / 'a-2.webp').read_bytes() == (tmp_path / 'a.webp').read_bytes()
    found = read_settings(tmp_path / 'a-2.webp')
    assert found['parameters']['loop'] == 'model'
    assert found['options']['WanOptions']['Steps'] == (4 if kind.can_close else 3)
    assert bool(found['options']['WanOptions']['Lora']) is kind.can_close


def test_doctor_knows_it(kind, tmp_path):
    options = tiny_wan.configured(kind.name, kind.home)
    found = dict(doctor.report(options, Engines(options), 'en'))
    assert found['model wan'] == str(kind.folder)
    assert (found['engine wan'], found['engine in use']) == ('works', 'wan')
    assert 'prompt' in found['understands']
    names = tuple(str(tmp_path / f'{name}.safetensors') for name in ('high', 'low'))
    options = tiny_wan.configured(kind.name, kind.home, {'lora': names})
    said = dict(doctor.report(options, Engines(options), 'en'))['engine wan']
    assert ('not on this computer' if kind.can_close else 'Leave Lora empty') in said


def files_of(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob('*') if file.is_file()
    }


def test_what_is_fetched_from_a_hub_makes_the_same_clips(kind, tmp_path, capsys):
    own, loras, alone = {}, 'somebody/loras', {'README.md': b'words'}
    if kind.can_close:
        pytest.importorskip('peft')
        alone |= files_of(tiny_wan.make_lora(tmp_path / 'published')[0].parent)
        own = {'lora': tuple(f'{loras}/{name}' for name in sorted(alone)[1:]), 'steps': None}
    options = tiny_wan.configured(kind.name, tmp_path / 'models', own)
    with hub.Hub(files_of(kind.folder),
                 kind.name).serving() as one, hub.Hub(alone, loras).serving() as other:
        terms = Terms((Hub(one.url), Hub(other.url)), hub.HASTE)
        for model in filter(None, (WAN, describe_lora(options))):
            assert download.fetch(options, 'en', terms, model) == 0
    said = capsys.readouterr().out
    # before anything comes
    assert said.index(f'Downloading {kind.name}') < said.index('Licence of the model: tiny') \
        < said.index(str(tmp_path / 'models' / kind.name), said.index('Licence'))
    assert (f'Downloading {loras}' in said) is kind.can_close
    fetched, there = (
        tiny_wan.Wan(each) for each in (
            options,
            tiny_wan.configured(kind.folder, tmp_path / 'texts', {
                **own, 'lora':
                tuple(str(tmp_path / 'models' / name) for name in own.get('lora', ()))
            })))
    frames = []
    for engine in (fetched, there):
        engine.load()
        frames.append(tiny_svd.animate(engine, photo(), request()))
    assert numpy.array_equal(*frames)
