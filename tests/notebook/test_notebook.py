#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The notebook, run in real kernels: in Colab, whose own modules are stood in for, and in a plain Jupyter.

Libraries: IPython, ipywidgets, nbformat, Pillow, pytest, torch and diffusers (for the checkpoint).
"""

import contextlib
import io
import json
import re
import shutil
import socket
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import cells
import hub
import judges
import nbformat
import program
import pytest
import tiny_checkpoint
from PIL import Image
from small_program import NO_GRAPH

from modules import VERSION, weights
from modules.configuration import Configuration, InstallationOptions, ModelOptions, StoreOptions
from modules.engines.camera.files import DEPTH
from modules.engines.models import MAIN
from modules.engines.wan.options import WanOptions
from modules.notebook.program import Program, ProgramFailed
from modules.notebook.studio import Studio
from modules.notebook.surroundings import Stopped
from modules.request.parameters import PARAMETERS

ROOT = Path(__file__).resolve().parents[2]
COLAB = ROOT / 'tests' / 'support' / 'colab'

#: as Colab's proxy calls a port of one of its machines
COLAB_HOST = '5000-gpu-t4-s-kkb-use1c0-3a9f39od7yby7-c.us-east1-0.prod.colab.dev'

#: stands for the program: tells what it was given, says that it serves and has a tunnel, and waits for its end
STAND_IN = '''
import json, os, sys, time
with open(sys.argv[sys.argv.index('--config') + 1], encoding = 'utf-8') as ini:
    call = [sys.argv[1:], os.environ.get('NGROK_AUTHTOKEN'), ini.read()]
with open(os.environ['TOLD'], 'w') as file:
    json.dump(call, file)
print('The public address is https://a-b-c.ngrok.example', flush = True)
print('12:00:00 INFO serving at http://127.0.0.1:1/', flush = True)
time.sleep(60)
'''


def settings(**options):
    """The INI of the repository with some values changed."""
    ini = (ROOT / 'configuration.ini').read_text(encoding = 'utf-8')
    for key, value in options.items():
        # the first of two sections that have it
        ini, count = re.subn(rf'(?m)^{key} =.*', f'{key} = {value}', ini, count = 1)
        assert count == 1, key
    return ini


def copy_of_the_program(folder, ini):
    """All that runs, with another INI."""
    folder.mkdir()
    for name in ('modules', 'static', 'templates'):
        leave = shutil.ignore_patterns('__pycache__')
        shutil.copytree(ROOT / name, folder / name, ignore = leave)
    (folder / 'docs').mkdir()
    for name in ('__main__.py', 'app.py', 'docs/photo.jpg', 'requirements-core.txt',
                 'requirements.txt', 'requirements-tunnel.txt'):
        shutil.copy(ROOT / name, folder / name)
    (folder / 'configuration.ini').write_text(ini, encoding = 'utf-8')
    return folder


@pytest.fixture(scope = 'module')
def repository(tmp_path_factory):
    """Something to clone, and the variables by which git finds it where GitHub is."""
    home = tmp_path_factory.mktemp('github')
    small = settings(ImagePromptWidth = 256, ImagePromptHeight = 128, Seconds = 1, OutputFPS = 6)
    folder = copy_of_the_program(home / 'turn-live-photos.git', small)
    git = ('git', '-C', folder, '-c', 'user.name=x', '-c', 'user.email=x@example')
    judges.run(*git, 'init', '--quiet')
    judges.run(*git, 'add', '--all')
    judges.run(*git, 'commit', '--quiet', '--message', 'all')
    return {
        'GIT_CONFIG_COUNT': '1',
        'GIT_CONFIG_KEY_0': f'url.{home.as_uri()}/.insteadOf',
        'GIT_CONFIG_VALUE_0': 'https://github.com/CoolCLK/'
    }


@pytest.fixture(scope = 'module')
def uploads(tmp_path_factory):
    """A photo that lies on its side, and one that is not what its name says."""
    folder = tmp_path_factory.mktemp('uploads')
    exif = Image.Exif()
    exif[274] = 6
    judges.scenery(320, 180).save(folder / 'a b.jpg', exif = exif)
    judges.scenery(320, 180).save(folder / 'c.heic', 'PNG')
    return folder


@pytest.fixture(scope = 'module')
def in_colab(tmp_path_factory, repository, uploads):
    """Where it ran, and what was said below every cell."""
    content = tmp_path_factory.mktemp('colab') / 'content'
    content.mkdir()
    said, calls = {}, content.parent / 'call.json'
    environment = {
        **repository, 'COLAB_UPLOAD': str(uploads),
        'COLAB_SECRETS': '{"NGROK_AUTHTOKEN": "a-secret"}',
        'TOLD': str(calls)
    }
    with cells.kernel(content, COLAB, **environment) as reader:
        for name in ('ready', 'model', 'photo'):
            said[name] = reader.run(name)
        said['wrong'] = reader.run('clip', seed = 'x')
        said['clip'] = reader.run('clip', seed = '7', loop = 'pingpong')
        said['download'] = reader.run('download')
        said['other'] = reader.run('download', download_as = 'live-photo')
        said['page'] = reader.run('page', page = 'notebook')
        said['asked'] = ask_the_page(said['page'])
        said['off'] = reader.run('page', page = 'off')
        (content / 'turn-live-photos' / '__main__.py').write_text(STAND_IN)
        said['ngrok'] = reader.run('page', page = 'ngrok')
    said['call'] = json.loads(calls.read_text())
    return content, said


def ask_the_page(said):
    """What a browser gets there under Colab's name and another's, and what the page makes of a photo."""
    (port, ), = said.calls('iframe')
    hosts = {'colab': COLAB_HOST, 'stranger': 'a.example'}
    answers = {
        name: program.call(int(port), 'GET', '/', headers = {'Host': host})
        for name, host in hosts.items()
    }
    photo = (ROOT / 'docs' / 'photo.jpg').read_bytes()
    headers = {'Host': COLAB_HOST, 'Sec-Fetch-Site': 'same-origin'}
    answers['clip'] = program.generate(int(port), photo, headers = headers)
    # another address of this machine; only who listens on all of them hears it
    answers['is open'] = is_served(int(port), '127.0.0.2')
    return answers


def test_the_notebook_is_clean():
    notebook = json.loads(cells.NOTEBOOK.read_text(encoding = 'utf-8'))
    nbformat.validate(notebook)
    for cell in notebook['cells']:
        if cell['cell_type'] == 'code':
            assert cell['outputs'] == [] and cell['execution_count'] is None
            compile(''.join(cell['source']), cell['id'], 'exec')


def test_every_text_is_in_both_languages():
    for cell in cells.read().cells:
        if cell.cell_type == 'markdown':
            assert re.search('[\u4e00-\u9fff]{4}', cell.source), cell.id
            assert re.search(r'[A-Za-z]+ [a-z]+ [a-z]+', cell.source), cell.id


def test_the_form_has_every_parameter_with_its_range_and_default():
    form = cells.forms(next(cell.source for cell in cells.read().cells if cell.id == 'clip'))
    assert set(form) == {parameter.name for parameter in PARAMETERS}
    for parameter in PARAMETERS:
        value, choice = form[parameter.name]
        if parameter.choices:
            # one of them may be left to the format
            assert [word for word in choice if word] == list(parameter.choices)
        elif parameter.default is not None:
            assert (choice['min'], choice['max']) == (parameter.minimum, parameter.maximum)
        assert parameter.default is None or value == parameter.default
        if str(value):
            parameter.parse(str(value))


def test_every_format_can_be_downloaded():
    form = cells.forms(next(cell.source for cell in cells.read().cells if cell.id == 'download'))
    formats = next(parameter.choices for parameter in PARAMETERS if parameter.name == 'format')
    assert form['download_as'] == ('as above', ['as above', *formats])


def test_colab_fetches_the_program_and_installs_nothing_that_is_there(in_colab):
    content, said = in_colab
    assert (content / 'turn-live-photos' / '.git').is_dir()
    assert said['ready'].words == f'turn-live-photos {VERSION} 已就绪。\n'
    assert not [call for call in pip_calls(content) if 'ngrok' not in call]


def pip_calls(folder):
    path = folder.parent / 'pip.txt'
    return path.read_text().splitlines() if path.exists() else []


def test_without_a_gpu_no_model_is_fetched(in_colab):
    assert '没有 GPU' in in_colab[1]['model'].words


def test_photos_are_shown_upright_whatever_they_are_called(in_colab):
    sizes = {Image.open(io.BytesIO(each)).size for each in in_colab[1]['photo'].pictures()}
    assert sizes == {(180, 320), (320, 180)}


def test_a_wrong_field_is_named_in_a_sentence(in_colab):
    (traceback, ), = in_colab[1]['wrong'].error
    assert 'seed' in traceback and '\n' not in traceback


def test_the_clip_plays_in_the_notebook(in_colab, tmp_path):
    """There and back are 58 frames of thirty: what the form says is heard."""
    movies = in_colab[1]['clip'].movies()
    assert len(movies) == 2
    for movie in movies:
        (tmp_path / 'movie.mp4').write_bytes(movie)
        stream, = judges.streams(tmp_path / 'movie.mp4')
        assert (stream['codec_name'], stream['nb_frames']) == ('h264', '58')


def test_steps_are_told_while_it_is_made(in_colab):
    words = in_colab[1]['clip'].words
    assert ' 1/30 ' in words and ' 30/30 ' in words and '写入文件' in words


def test_the_clip_is_downloaded_under_the_photos_name(in_colab):
    paths = [Path(path) for path, in in_colab[1]['download'].calls('download')]
    assert {path.name for path in paths} == {'a b.gif', 'c.gif'}
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.n_frames) == ('GIF', 12)


def test_another_format_is_made_of_the_same_frames(in_colab):
    paths = [Path(path) for path, in in_colab[1]['other'].calls('download')]
    assert {path.name for path in paths} == {'a b.pvt.zip', 'c.pvt.zip'}
    for path in paths:
        assert path.read_bytes().startswith(b'PK')


def test_the_page_is_served_under_colabs_names_and_in_its_frame(in_colab):
    asked = in_colab[1]['asked']
    assert (asked['colab'].status, asked['stranger'].status) == (200, 403) and not asked['is open']
    policy = asked['colab'].headers['Content-Security-Policy']
    assert 'https://*.googleusercontent.com' in policy.partition('frame-ancestors')[2]
    assert asked['clip'].status == 200 and asked['clip'].body.startswith(b'GIF89a')


def test_the_page_ends_when_it_is_told_to(in_colab):
    (port, ), = in_colab[1]['page'].calls('iframe')
    assert '页面已关闭' in in_colab[1]['off'].words
    assert not is_served(int(port))


def test_the_tunnel_has_a_password_and_its_token_is_on_no_command_line(in_colab):
    arguments, token, ini = in_colab[1]['call']
    words = in_colab[1]['ngrok'].words
    assert '--ngrok' in arguments and '--public' not in arguments
    assert token == 'a-secret' and 'a-secret' not in ' '.join([words, ini, *arguments])
    password = re.search('^Password = (.+)$', ini, re.MULTILINE)[1]
    assert len(password) >= 12 and f'密码：{password}' in words
    assert 'https://a-b-c.ngrok.example\n' in words


@pytest.fixture(scope = 'module')
def in_jupyter(tmp_path_factory):
    """A notebook that lies where it was cloned, on a machine that has a model and no GPU."""
    home = tmp_path_factory.mktemp('jupyter')
    folder = copy_of_the_program(
        home / 'turn-live-photos',
        settings(
            Device = 'cpu',
            Engine = 'camera',
            ModelName = tiny_checkpoint.make(home / 'model'),
            ImagePromptWidth = 128,
            ImagePromptHeight = 64,
            OutputFrames = 3,
            InferenceSteps = 2))
    with cells.kernel(folder) as reader:
        said = {name: reader.run(name) for name in ('ready', 'model', 'photo')}
        said['clip'] = reader.run('clip', engine = 'svd', format = 'mp4', seed = '3')
        said['download'] = reader.run('download')
        said['page'] = reader.run('page', page = 'notebook')
    return folder, said


def test_stable_video_diffusion_works_in_a_plain_jupyter(in_jupyter, tmp_path):
    folder, said = in_jupyter
    assert '(seed 3, engine svd)' in said['clip'].words and ' 2/2 ' in said['clip'].words
    movie, = said['clip'].movies()
    (tmp_path / 'movie.mp4').write_bytes(movie)
    stream, = judges.streams(tmp_path / 'movie.mp4')
    # two are shown for each that was made
    assert stream['nb_frames'] == '6'
    assert (folder / 'outputs' / 'notebook' / 'photo.mp4').read_bytes() == movie
    assert not pip_calls(folder)


def test_outside_colab_an_example_and_a_link_stand_in(in_jupyter):
    said = in_jupyter[1]
    assert said['photo'].outputs[0].data['text/plain'].startswith('FileUpload')
    assert 'an example' in said['clip'].words
    link, = said['download'].outputs
    assert "href='outputs/notebook/photo.mp4'" in link.data['text/html']


def test_the_page_ends_with_the_notebook(in_jupyter):
    link, = in_jupyter[1]['page'].outputs
    port = int(re.search(r'http://localhost:(\d+)/', link.data['text/html'])[1])
    patience = time.monotonic() + 20
    while is_served(port):
        assert time.monotonic() < patience


def is_served(port, address = '127.0.0.1'):
    """Whether anybody takes a connection."""
    time.sleep(0.05)
    with contextlib.closing(socket.socket()) as client:
        return client.connect_ex((address, port)) == 0


@pytest.fixture
def studio(tmp_path):
    """One that speaks English, on a machine with a GPU; its folders are of this test's own."""
    store = StoreOptions(outputs_home = tmp_path / 'outputs', models_home = tmp_path / 'models')
    small = ModelOptions(
        image_prompt_width = 64, image_prompt_height = 64, seconds = 1.0, output_fps = 4)
    return Studio(Configuration(store = store, model = small), 'en', has_gpu = True)


def test_photos_chosen_with_ipywidgets_are_taken(studio, capsys):
    studio.choose()
    content = io.BytesIO()
    judges.scenery(64, 36).save(content, 'JPEG')
    chosen = {
        'name': '../假期.jpg',
        'type': '',
        'size': 1,
        'content': content.getvalue(),
        'last_modified': datetime.now(timezone.utc)
    }
    studio.chooser.upload.value = (chosen, )
    studio.animate(seed = 5, format = 'webp')
    clip, = studio.maker.clips
    assert (clip.files['webp'].name, clip.request.seed) == ('假期.webp', 5)
    assert '(seed 5, engine camera)' in capsys.readouterr().out


@pytest.mark.parametrize(('path', 'reason'), [('none.jpg', 'No such file'),
                                              (__file__, 'cannot be opened as a photo')])
def test_what_is_no_photo_is_told_at_once(studio, path, reason):
    with pytest.raises(Stopped, match = reason):
        studio.choose(path)


def test_a_photo_that_cannot_be_read_stops_no_other(studio, monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(COLAB)
    monkeypatch.setenv('COLAB_UPLOAD', str(tmp_path / 'given'))
    (tmp_path / 'given').mkdir()
    (tmp_path / 'given' / 'a.jpg').write_text('words')
    judges.scenery(64, 36).save(tmp_path / 'given' / 'b.jpg')
    studio.choose()
    assert [photo.name for photo in studio.chooser.photos] == ['b.jpg']
    assert 'a.jpg: This file cannot be opened as a photo' in capsys.readouterr().out


def test_frames_go_with_their_clips(studio):
    studio.animate()
    kept = studio.maker.clips[0].kept
    assert (kept / 'frames.mkv').is_file()
    studio.animate()
    assert not kept.exists() and len(list(kept.parent.iterdir())) == 3


def test_without_a_clip_there_is_nothing_to_download(studio):
    with pytest.raises(Stopped, match = 'no clip yet'):
        studio.download()


def fetch(studio, files, **how):
    """Let it fetch a model from a hub of this machine."""
    with hub.Hub(files).serving() as source:
        url = f'{source.url}/{hub.NAME}'
        studio.options = replace(
            studio.options,
            model = ModelOptions(model_name = hub.NAME, depth = 'prior'),
            engines = (WanOptions(model_name = hub.NAME), ),
            installation = InstallationOptions(model_repository_url = url))
        studio.fetch_model(**how)


def test_the_model_is_fetched_with_its_licence_told(studio, capsys):
    fetch(studio, hub.model())
    output = capsys.readouterr().out
    assert 'licence' in output.lower() and hub.NAME in output
    assert weights.find(studio.options, MAIN)


def test_another_model_is_fetched_where_it_is_named(studio, capsys):
    fetch(studio, hub.model(), model = 'wan')
    assert 'lacks files of Wan' in capsys.readouterr().err


def test_without_a_gpu_the_small_model_is_fetched_alone(studio, capsys):
    studio._has_gpu = False
    with hub.Hub({'onnx/model.onnx': NO_GRAPH}, DEPTH.hub_name).serving() as source:
        installation = InstallationOptions(model_repository_url = source.url)
        studio.options = replace(studio.options, installation = installation)
        studio.fetch_model()
    assert weights.find(studio.options, DEPTH) and not weights.find(studio.options, MAIN)
    assert DEPTH.hub_name in capsys.readouterr().out


def test_without_the_model_camera_motion_goes_on(studio, capsys):
    fetch(studio, {})
    assert 'camera motion makes the clips' in capsys.readouterr().out


def test_the_model_is_kept_on_the_drive(studio, monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(COLAB)
    monkeypatch.chdir(tmp_path)
    studio.maker.clips.append(object())
    fetch(studio, hub.model(), on_drive = True)
    assert studio.maker.clips
    assert f'colab ["mount", "{tmp_path}/drive"]' in capsys.readouterr().out
    assert weights.find(studio.options, MAIN).is_relative_to(tmp_path / 'drive' / 'MyDrive')


@pytest.mark.parametrize('secrets', ['{}', '{"NGROK_AUTHTOKEN": "-"}'])
def test_without_a_token_no_tunnel_is_begun(studio, monkeypatch, secrets):
    monkeypatch.syspath_prepend(COLAB)
    monkeypatch.setenv('COLAB_SECRETS', secrets)
    monkeypatch.delenv('NGROK_AUTHTOKEN', raising = False)
    with pytest.raises(Stopped, match = 'NGROK_AUTHTOKEN'):
        studio.page('ngrok')
    assert studio.served.program is None


def test_a_program_that_cannot_serve_tells_why(tmp_path):
    main = tmp_path / 'main.py'
    main.write_text('import sys; sys.exit("no port is free")')
    with pytest.raises(ProgramFailed, match = 'no port is free'):
        Program(Configuration(), main = main)


def test_a_program_that_nobody_holds_any_more_ends(tmp_path):
    main = tmp_path / 'main.py'
    main.write_text("import time; print('http://127.0.0.1:1/', flush = True); time.sleep(60)")
    held = Program(Configuration(), main = main)
    process = held._process
    assert process.poll() is None
    del held
    assert process.poll() is not None
