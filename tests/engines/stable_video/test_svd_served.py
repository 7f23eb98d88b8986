#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Stable Video Diffusion through the whole program: the real pipeline on a small checkpoint, behind the real server.

Libraries: Pillow, numpy, pytest, torch and diffusers (for the checkpoint).
"""

import contextlib
import io
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import numpy
import program
import pytest
import tiny_checkpoint
import torch
from PIL import Image, ImageSequence
from tiny_svd import load_plainly  # noqa: E402

from app import create_app
from modules.clips import lossless
from modules.clips.writer import FRAMES
from modules.configuration import Configuration, ModelOptions, StoreOptions, WebOptions
from modules.engines.diffusion import fitting

MODEL = ModelOptions(
    image_prompt_width = 128, image_prompt_height = 64, output_frames = 3, inference_steps = 4)

INI = '''
[ModelOptions]
Engine = svd
Device = cpu
ImagePromptWidth = 128
ImagePromptHeight = 64
OutputFrames = 3
InferenceSteps = 4
'''

#: writes down whom a Python turns to, before anything else in it runs
WATCHER = """
import sys
def watch(event, arguments):
    if event == 'socket.connect' and isinstance(arguments[1], tuple):
        tell(arguments[1][0])
    elif event == 'socket.getaddrinfo':
        tell(arguments[0])
def tell(host):
    with open({path!r}, 'a') as file:
        file.write(f'{{host}}\\n')
sys.addaudithook(watch)
"""


@pytest.fixture(scope = 'module')
def checkpoint(tmp_path_factory):
    return tiny_checkpoint.make(tmp_path_factory.mktemp('models') / '模型')


@pytest.fixture(scope = 'module')
def photo():
    content = io.BytesIO()
    values = numpy.random.default_rng(7).integers(0, 255, (12, 20, 3), numpy.uint8)
    Image.fromarray(values).resize((320, 180)).save(content, 'JPEG', quality = 92)
    return content.getvalue()


@pytest.fixture(scope = 'module')
def watched(tmp_path_factory):
    """A folder; a Python that has it on its path writes into the file ``asked`` there."""
    folder = tmp_path_factory.mktemp('watched')
    watcher = WATCHER.format(path = str(folder / 'asked'))
    (folder / 'sitecustomize.py').write_text(watcher, encoding = 'utf-8')
    return folder


@pytest.fixture(scope = 'module')
def home(tmp_path_factory):
    return tmp_path_factory.mktemp('run')


@pytest.fixture(scope = 'module')
def kept(home):
    """Where the program keeps its jobs."""
    return home / 'outputs'


@pytest.fixture(scope = 'module')
def port(home, checkpoint, watched):
    arguments = ['--model', str(checkpoint)]
    # one thread, as in this process, so that sums are made in one order
    environment = {'PYTHONPATH': str(watched), 'OMP_NUM_THREADS': '1'}
    with program.started(home, INI, arguments, environment = environment) as found:
        program.ready(found[1], seconds = 120)
        yield found[1]


@contextlib.contextmanager
def served(home, **options):
    """All of it but the start of a program, in this process, which has imported what that takes seconds to import."""
    model = ModelOptions(image_prompt_width = 128, image_prompt_height = 64, **options)
    web, store = WebOptions(port = 0), StoreOptions(models_home = home / 'models')
    app = create_app(Configuration(web = web, store = store, model = model), home / 'outputs')
    with program.served(app, web) as port:
        program.ready(port)
        yield port


def ask(port, photo, **fields):
    """The pixels of a clip; its file also tells when it was asked for."""
    answer = program.generate(port, photo, list(fields.items()), timeout = 120)
    assert answer.status == 200, answer.body
    assert answer.headers['X-Engine'] == 'svd'
    with Image.open(io.BytesIO(answer.body)) as image:
        return [frame.convert('RGB').tobytes()
                for frame in ImageSequence.Iterator(image)], image.size


def test_the_engine_in_use_is_told(port):
    health = program.call(port, 'GET', '/health').json
    assert (health['engine'], health['engines']['svd']) == ('svd', None)


def test_a_clip_has_the_photos_shape_and_the_frames_asked_for(port, photo):
    frames, size = ask(port, photo, seed = 1)
    assert len(frames) == 3 and size == (120, 68)


def test_with_its_model_here_the_program_asks_nobody_on_the_network(port, photo, watched, home):
    """From its start on: it was watched while it loaded, and makes a clip."""
    ask(port, photo, seed = 1)
    log = (home / 'log').read_text()
    assert 'torchvision' not in log and 'There are modules' not in log, 'nobody is to worry'
    asked = watched / 'asked'
    strangers = set(asked.read_text().split()) if asked.exists() else set()
    assert strangers <= {'127.0.0.1', '::1', 'localhost', 'None'}
    code = 'import socket; socket.socket().connect_ex(("127.0.0.1", 9)); socket.getaddrinfo("a.invalid", 1)'
    subprocess.run([sys.executable, '-c', code], env = {'PYTHONPATH': str(watched)}, check = False)
    assert {'127.0.0.1', 'a.invalid'} <= set(asked.read_text().split()), 'nothing was watched'


def test_the_same_seed_makes_the_same_clip_and_another_another(port, photo):
    first = ask(port, photo, seed = 5)
    assert ask(port, photo, seed = 5) == first
    assert ask(port, photo, seed = 6) != first


def test_two_requests_at_once_each_give_what_a_plain_call_gives_bit_for_bit(
        port, photo, checkpoint, kept):
    """Guidance above 1 runs the UNet on twice the pictures: a pipeline shared by two threads breaks on that."""
    answers = {}

    def one(guidance):
        fields = [('seed', '3'), ('max_guidance_scale', str(guidance))]
        answers[guidance] = program.generate(port, photo, fields, timeout = 120)

    threads = [threading.Thread(target = one, args = (guidance, )) for guidance in (3.0, 1.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clips = {}
    for guidance, answer in answers.items():
        with lossless.KeptFrames(kept / answer.headers['X-Job-Id'] / FRAMES) as frames:
            clips[guidance] = numpy.stack(list(frames))
    image = Image.open(io.BytesIO(photo))
    pipe = load_plainly(checkpoint, 'fp16')
    fit = fitting.plan(image.size, MODEL)
    for guidance, clip in clips.items():
        pictures = pipe(
            fitting.fit_to_model(image, fit),
            width = 128,
            height = 64,
            num_frames = 3,
            num_inference_steps = 4,
            max_guidance_scale = guidance,
            decode_chunk_size = 3,
            generator = torch.Generator().manual_seed(3)).frames[0]
        expected = numpy.stack([numpy.asarray(picture) for picture in pictures])
        assert numpy.array_equal(clip, fitting.fit_to_result(expected, fit))
    assert not numpy.array_equal(clips[3.0], clips[1.0])


def test_hanging_up_frees_the_worker_within_a_step_and_the_next_clip_is_exact(
        tmp_path, checkpoint, photo):
    options = {'engine': 'svd', 'device': 'cpu', 'model_name': str(checkpoint)}
    with served(tmp_path, output_frames = 3, inference_steps = 40, **options) as port:
        before = time.monotonic()
        whole = ask(port, photo, seed = 9)
        seconds = time.monotonic() - before
        body, headers = program.form([('seed', '9')], [('file', 'a.jpg', photo)])
        head = ''.join(f'{name}: {value}\r\n' for name, value in headers.items())
        with socket.create_connection(('127.0.0.1', port)) as client:
            start = f'POST /generate HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {len(body)}\r\n\r\n'
            client.sendall(start.encode() + body)
            time.sleep(seconds / 4)
            assert program.call(port, 'GET', '/health').json['status'] == 'BUSY'
        before = time.monotonic()
        program.ready(port)
        assert time.monotonic() - before < max(seconds / 2, 1)
        assert ask(port, photo, seed = 9) == whole


def test_a_running_job_shows_its_clip_as_it_forms_and_can_be_cancelled(tmp_path, checkpoint, photo):
    # long enough that it cannot end while somebody looks, however busy the machine is
    options = {'engine': 'svd', 'device': 'cpu', 'model_name': str(checkpoint)}
    with served(tmp_path, output_frames = 20, inference_steps = 200, **options) as port:
        body, headers = program.form([('seed', '9')], [('file', 'a.jpg', photo)])
        address = program.call(port, 'POST', '/jobs', body, headers).headers['Location']
        address = urllib.parse.urlsplit(address).path
        first = until(port, address, lambda job: job['preview'])
        assert (first['phase'], first['steps']) == ('step', 200)
        with Image.open(io.BytesIO(program.call(port, 'GET',
                                                '/' + first['preview']).body)) as image:
            # an eighth of the clip
            assert (image.format, image.size) == ('JPEG', (15, 8))
        until(port, address, lambda job: job['preview'] not in (None, first['preview']))
        assert program.call(port, 'POST', f'{address}/cancel').status == 200
        assert until(port, address, lambda job: job['finished'])['state'] == 'cancelled'
        program.ready(port)


def until(port, address, is_so, seconds = 60):
    """The job, once something is true of it."""
    patience = time.monotonic() + seconds
    while time.monotonic() < patience:
        job = program.call(port, 'GET', address).json
        if is_so(job):
            return job
        time.sleep(0.02)
    raise AssertionError(job)


def test_without_weights_svd_is_503_with_the_reason_and_the_program_runs(tmp_path, photo):
    ini = '[ModelOptions]\nEngine = svd\nImagePromptWidth = 64\nImagePromptHeight = 64\nOutputFrames = 2\n'
    with program.started(tmp_path,
                         ini + '[StoreOptions]\nModelsHome = nothing\n') as (_process, port):
        answer = program.generate(port, photo, headers = {'Accept-Language': 'zh'})
        assert (answer.status, answer.json['code']) == (503, 'engine_unavailable')
        assert '模型' in answer.json['message']
        assert program.generate(port, photo, [('engine', 'camera')]).status == 200


def test_auto_takes_camera_motion_without_weights_and_says_why(tmp_path, photo):
    ini = '[ModelOptions]\nOutputFrames = 2\n[StoreOptions]\nModelsHome = nothing\n'
    with program.started(tmp_path, ini) as (_process, port):
        assert program.generate(port, photo).headers['X-Engine'] == 'camera'
        assert program.call(port, 'GET', '/health').json['engines']['svd']


def test_auto_takes_svd_once_the_weights_are_here_without_a_restart(tmp_path, checkpoint, photo):
    home = tmp_path / 'models' / 'somebody'
    options = {'model_name': 'somebody/something', 'output_frames': 2, 'inference_steps': 2}
    with served(tmp_path, **options) as port:
        assert program.generate(port, photo).headers['X-Engine'] == 'camera'
        home.mkdir(parents = True)
        (home / 'something').symlink_to(checkpoint, target_is_directory = True)
        assert program.generate(port, photo, timeout = 120).headers['X-Engine'] == 'svd'
