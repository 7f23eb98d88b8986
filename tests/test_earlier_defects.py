#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What an earlier implementation of this product got wrong, on the whole program with its real camera engine.

Libraries: numpy, Pillow, pytest.
"""

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import judges
import numpy
import program
import pytest
import stand_ins
from PIL import Image

from app import create_app
from modules.configuration import Configuration, ModelOptions, WebOptions
from modules.engines.registry import Engines

ROOT = Path(__file__).resolve().parent.parent
SMALL = '[ModelOptions]\nEngine = camera\nImagePromptWidth = 128\nImagePromptHeight = 64\nSeconds = 1\n'
PIXELS = 128 * 64


def encoded(image, kind = 'JPEG', **more):
    content = io.BytesIO()
    image.save(content, kind, quality = 95, **more)
    return content.getvalue()


@pytest.fixture(scope = 'module')
def home(tmp_path_factory):
    """Where the running program keeps its temporary files."""
    return tmp_path_factory.mktemp('home')


@pytest.fixture(scope = 'module')
def port(home):
    """The real program, small and short clips, otherwise as it comes."""
    with program.started(home, SMALL, environment = {'TMPDIR': str(home)}) as (_process, port):
        program.ready(port)
        yield port


def gif(answer):
    assert answer.status == 200, answer.body
    return Image.open(io.BytesIO(answer.body))


def first_frame(answer):
    with gif(answer) as image:
        return image.convert('RGB')


# 1–5
@pytest.mark.parametrize('size', [(360, 240), (240, 360), (400, 225), (225, 400), (480, 160),
                                  (160, 480), (300, 300)])
def test_the_picture_keeps_the_photos_ratio_and_is_not_squashed(port, size):
    photo = judges.scenery(*size)
    found = first_frame(program.generate(port, encoded(photo)))
    ratio = size[0] / size[1]
    assert abs(found.width - found.height * ratio) <= max(1, ratio)
    assert 0.9 < found.width * found.height / PIXELS < 1.1
    expected = photo.resize(found.size, Image.Resampling.LANCZOS)
    assert judges.psnr(numpy.asarray(found), numpy.asarray(expected)) > 24


# 6
@pytest.mark.parametrize(('width', 'height'), [(128, 64), (64, 192), (256, 192)])
def test_width_and_height_of_the_prompt_decide_the_size(tmp_path, width, height):
    model = ModelOptions(
        engine = 'camera',
        image_prompt_width = width,
        image_prompt_height = height,
        output_fps = 2,
        seconds = 1)
    configuration = Configuration(web = WebOptions(port = 0), model = model)
    with program.served(create_app(configuration, tmp_path), configuration.web) as port:
        found = first_frame(program.generate(port, encoded(judges.scenery(480, 360))))
    assert 0.95 < found.width * found.height / (width * height) < 1.05


# 7
@pytest.mark.parametrize(('orientation', 'turn'), [(1, None), (3, Image.Transpose.ROTATE_180),
                                                   (6, Image.Transpose.ROTATE_90),
                                                   (8, Image.Transpose.ROTATE_270)])
def test_a_photo_taken_sideways_comes_back_upright(port, orientation, turn):
    upright = judges.scenery(240, 180)
    stored = upright.transpose(turn) if turn else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = first_frame(program.generate(port, encoded(stored, exif = exif)))
    assert found.width > found.height
    expected = upright.resize(found.size, Image.Resampling.LANCZOS)
    assert judges.psnr(numpy.asarray(found), numpy.asarray(expected)) > 24


# 10, 11
def test_a_gif_lasts_three_seconds_at_15_frames_each_by_default(tmp_path):
    model = ModelOptions(engine = 'camera', image_prompt_width = 128, image_prompt_height = 64)
    configuration = Configuration(web = WebOptions(port = 0), model = model)
    with program.served(create_app(configuration, tmp_path), configuration.web) as port:
        answer = program.generate(port, encoded(judges.scenery(120, 80)))
    with gif(answer) as image:
        assert image.n_frames == 45
        milliseconds = 0
        for index in range(45):
            image.seek(index)
            assert image.info['duration'] >= 20
            milliseconds += image.info['duration']
    assert abs(milliseconds - 3000) <= 10


# 27
@pytest.mark.parametrize(
    'content', [encoded(judges.scenery(64, 48)), b'no photo'], ids = ['photo', 'no photo'])
@pytest.mark.parametrize('path', ['/upright', '/generate'])
def test_nothing_of_an_upload_stays_but_the_job_it_became(port, home, path, content):

    def kept():
        return {path.name for path in (home / 'outputs').iterdir()}

    body, headers = program.form([], [('file', 'a.jpg', content)])
    before = kept()
    answer = program.call(port, 'POST', path, body, headers)
    assert answer.status == (415 if content == b'no photo' else 200)
    assert kept() - before == {answer.headers['X-Job-Id']} - {None}
    assert list(home.glob('turn-live-photos-*')) == []


#: reads a file of the program as a module, and tells what that did to the machine
WATCH = '''
import json, os, runpy, sys, threading
done = []
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

def watch(event, arguments):
    if event == 'open' and arguments[2] & writing:
        done.append([event, str(arguments[0])])
    elif event in ('os.mkdir', 'os.rename', 'os.remove', 'subprocess.Popen', 'os.system', 'socket.bind',
                   'socket.connect', 'tempfile.mkdtemp', 'tempfile.mkstemp', '_thread.start_new_thread'):
        done.append([event, str(arguments)])

file = sys.argv[1]
sys.argv[1:] = ['--no-such-option']
sys.addaudithook(watch)
runpy.run_path(file, run_name = 'imported')
print(json.dumps([done, [thread.name for thread in threading.enumerate()]]))
'''


# 29
@pytest.mark.parametrize('file', ['__main__.py', 'app.py'])
def test_importing_the_program_does_nothing(tmp_path, file):
    variables = {**os.environ, 'PYTHONPATH': str(ROOT), 'PYTHONDONTWRITEBYTECODE': '1'}
    found = subprocess.run(
        [sys.executable, '-c', WATCH, str(ROOT / file)],
        cwd = tmp_path,
        env = variables,
        capture_output = True,
        text = True,
        check = False)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == [[], ['MainThread']]
    assert found.stderr == ''
    assert list(tmp_path.iterdir()) == []


# 44
def test_no_limit_of_the_upload_takes_what_the_default_would_refuse(tmp_path):
    photo = encoded(judges.scenery(64, 48))
    photo += b'\0' * (WebOptions().max_content_length + 1 - len(photo))
    ini = f'[WebOptions]\nMaxContentLength = 0\n{SMALL}OutputFPS = 2\n'
    with program.started(tmp_path, ini) as (_process, port):
        assert gif(program.generate(port, photo)).size == (64, 48)


# 46
@pytest.mark.parametrize(('method', 'path', 'status'), [('GET', '/nowhere', 404),
                                                        ('POST', '/generate', 400),
                                                        ('GET', '/generate', 400),
                                                        ('POST', '/health', 405)])
def test_the_id_of_a_refused_request_is_in_header_and_body(port, method, path, status):
    first, second = (program.call(port, method, path) for _ in range(2))
    assert (first.status, second.status) == (status, status)
    assert len(first.json['request_id']) >= 16
    assert first.headers['X-Request-Id'] == first.json['request_id']
    assert first.json['request_id'] != second.json['request_id']


# 48
@pytest.mark.parametrize('kind', ['gif', 'mp4', 'webp', 'live-photo', 'motion-photo'])
def test_clips_are_kept_by_no_cache_and_taken_for_nothing_else(port, kind):
    answer = program.generate(port, encoded(judges.scenery(64, 48)), [('format', kind)])
    assert answer.status == 200
    assert answer.headers['Cache-Control'] == 'no-store'
    assert answer.headers['X-Content-Type-Options'] == 'nosniff'
    assert answer.headers['X-Request-Id']


# 49
@pytest.mark.parametrize('path', ['/generate', '/upright', '/', '/static/css/base.css', '/health'])
def test_no_path_is_served_under_a_strangers_name(port, path):
    body, headers = program.form([], [('file', 'a.jpg', encoded(judges.scenery(64, 48)))])
    sends = path in ('/generate', '/upright')
    for host, status in (('evil.example', 403), ('localhost', 200)):
        answer = program.call(port, 'POST' if sends else 'GET', path, body if sends else None, {
            **(headers if sends else {}), 'Host': host
        })
        assert answer.status == status
        assert status == 200 or answer.json['code'] == 'host_not_served'


@pytest.fixture(scope = 'module')
def copy(tmp_path_factory):
    """The program's own folder, with an INI that is not as it comes."""
    folder = tmp_path_factory.mktemp('program') / 'it'
    for name in ('modules', 'static', 'templates'):
        # what Python has compiled comes along, but for what it is just compiling
        shutil.copytree(ROOT / name, folder / name, ignore = shutil.ignore_patterns('*.pyc.*'))
    for name in ('__main__.py', 'app.py'):
        shutil.copy(ROOT / name, folder)
    (folder / 'configuration.ini').write_text(f'{SMALL}OutputFPS = 3\n')
    return folder


def run(folder, file, *arguments, **environment):
    """The program's output, both kinds, as it goes into a file."""
    done = subprocess.run([sys.executable, str(file), *map(str, arguments)],
                          cwd = folder,
                          env = {
                              **os.environ, 'LC_ALL': 'C.UTF-8',
                              **environment
                          },
                          stdin = subprocess.DEVNULL,
                          stdout = subprocess.PIPE,
                          stderr = subprocess.STDOUT,
                          encoding = 'utf-8',
                          timeout = 60,
                          check = False)
    return done.returncode, done.stdout


# 52
@pytest.mark.parametrize('file', ['__main__.py', 'app.py'])
def test_the_program_finds_its_own_ini_from_any_folder(tmp_path, copy, file):
    (tmp_path / 'configuration.ini').write_text('[ModelOptions]\nEngine = nonsense\n')
    (tmp_path / 'a.png').write_bytes(encoded(judges.scenery(400, 300), 'PNG'))
    # that takes seconds to import, and has no part in this
    (tmp_path / 'lacks').mkdir()
    (tmp_path / 'lacks' / 'torch.py').write_text('raise ImportError')
    code, output = run(tmp_path, copy / file, 'doctor', PYTHONPATH = str(tmp_path / 'lacks'))
    assert code == 0, output
    assert re.search(r'engine asked for +camera\n', output)
    assert run(tmp_path, copy / file, 'animate', 'a.png')[0] == 0
    with Image.open(tmp_path / 'a.gif') as image:
        assert image.n_frames == 3
        assert 0.9 < image.width * image.height / PIXELS < 1.1


# 57
@pytest.mark.parametrize(('arguments', 'code'), [(('doctor', ), 0), (('--help', ), 0),
                                                 (('animate', 'a.jpg'), 0),
                                                 (('animate', 'none.jpg'), 1),
                                                 (('--no-such-option', ), 2),
                                                 (('--config', 'bad.ini'), 2)])
def test_output_that_no_terminal_shows_has_no_colours(tmp_path, copy, arguments, code):
    (tmp_path / 'bad.ini').write_text('[WebOptions]\nPort = x\n')
    (tmp_path / 'a.jpg').write_bytes(encoded(judges.scenery(64, 48)))
    found, output = run(tmp_path, copy / '__main__.py', *arguments, TERM = 'xterm-256color')
    assert found == code, output
    assert output
    assert '\x1b' not in output


# 57
def test_the_log_of_the_server_has_no_colours(port, home):
    program.call(port, 'GET', '/nowhere')
    log = (home / 'log').read_text()
    assert 'http://' in log
    assert '\x1b' not in log


# 61
def test_no_module_is_named_like_a_library():
    required = {
        re.match(r'[\w.-]+', line)[0].lower().replace('_', '-')
        for path in ROOT.glob('requirements*.txt')
        for line in path.read_text().splitlines() if re.match(r'\w', line)
    }
    libraries = {
        module
        for module, owners in metadata.packages_distributions().items()
        if required & {owner.lower().replace('_', '-')
                       for owner in owners}
    }
    taken = sys.stdlib_module_names | libraries | {name.replace('-', '_') for name in required}
    assert {'flask', 'PIL', 'logging'} <= taken
    own = {path.stem for path in (ROOT / 'modules').rglob('*.py')} - {'__init__'}
    own |= {path.parent.name for path in (ROOT / 'modules').rglob('__init__.py')} | {'app'}
    assert own & taken == set()


def serve(tmp_path, engine = 'auto', **engines):
    configuration = Configuration(web = WebOptions(port = 0), model = ModelOptions(engine = engine))
    app = create_app(
        configuration, tmp_path, engines = Engines(configuration, stand_ins.table(**engines)))
    return program.served(app, configuration.web)


@pytest.mark.parametrize(('preferred', 'asked', 'used'), [
    ('auto', None, 'svd'),
    ('auto', 'auto', 'svd'),
    ('auto', 'camera', 'camera'),
    ('camera', None, 'camera'),
    ('camera', 'auto', 'svd'),
    ('camera', 'svd', 'svd'),
])
def test_the_engine_that_worked_is_told(tmp_path, preferred, asked, used):
    with serve(tmp_path, preferred, svd = 'Generative', camera = 'Drifting') as port:
        fields = [('engine', asked)] if asked else []
        answer = program.generate(port, encoded(judges.scenery(64, 48)),
                                  [*fields, ('format', 'mp4')])
    assert (answer.status, answer.headers['X-Engine']) == (200, used)


def test_the_engine_that_worked_is_told_when_the_better_one_cannot(tmp_path):
    with serve(tmp_path, svd = 'Unavailable', camera = 'Instant') as port:
        answer = program.generate(port, encoded(judges.scenery(64, 48)), [('engine', 'auto')])
    assert answer.headers['X-Engine'] == 'camera'


# 76
@pytest.mark.parametrize('path', sorted(ROOT.glob('requirements*.txt')), ids = lambda p: p.name)
def test_every_requirement_can_come_from_the_package_index(path):
    for line in path.read_text().splitlines():
        assert '+' not in line.partition('#')[0], 'a local version is on no index'
        assert '://' not in line


# 77
def test_nobody_fetches_megabytes_of_sample_media_with_the_program():
    media = ('.avif', '.gif', '.heic', '.jpg', '.mov', '.mp4', '.png', '.webp')
    listed = subprocess.run(['git', 'ls-files', '-z'],
                            cwd = ROOT,
                            capture_output = True,
                            text = True,
                            check = False).stdout
    files = [ROOT / name for name in listed.split('\0') if name.endswith(media)]
    assert sum(file.stat().st_size for file in files) < 3_000_000


# 86
@pytest.mark.parametrize('language', ['en', 'zh'])
def test_the_page_is_called_by_its_name_and_may_be_zoomed_and_selected(port, language):
    page = program.call(port, 'GET', '/', headers = {'Accept-Language': language}).body.decode()
    assert re.search(r'<title>turn-live-photos · .+</title>', page)
    viewport = re.search(r'<meta name="viewport" content="([^"]+)"', page)[1]
    assert not re.search('scalable|maximum|minimum', viewport)
    sheets = re.findall(r'href="(/static/[^"]+\.css)"', page)
    assert len(sheets) >= 5
    for sheet in sheets:
        rules = program.call(port, 'GET', sheet).body.decode()
        for selectors in re.findall(r'([^{}]*)\{[^{}]*(?:user-select|\btransition): (?!none !)',
                                    rules):
            assert not re.search(r'(^|[\s,])(\*|html|body)\s*(,|$)', selectors.strip()), selectors


# 87
@pytest.mark.parametrize(('cookie', 'accepted', 'expected'), [('lang=zh', 'en', '这里'),
                                                              ('lang=en', 'zh', 'There'),
                                                              ('lang=xx', 'zh', '这里'),
                                                              ('other=zh', 'en', 'There')])
def test_the_language_switched_to_is_that_of_errors(port, cookie, accepted, expected):
    headers = {'Cookie': cookie, 'Accept-Language': accepted}
    assert expected in program.call(port, 'GET', '/nowhere', headers = headers).json['message']


def valid(path):
    """Whether a file is what its name says, as others read it."""
    if path.name.endswith('.gif'):
        with Image.open(path) as image:
            return image.format == 'GIF' and image.n_frames > 1
    if path.name.endswith('.mp4'):
        return any(stream['codec_name'] == 'h264' for stream in judges.streams(path))
    with zipfile.ZipFile(path) as bundle:
        assert bundle.testzip() is None
        return {Path(name).suffix.lower() for name in bundle.namelist()} >= {'.jpg', '.mov'}


#: what the calls of the READMEs may be told
STATES = ('READY', 'BUSY', 'queued', 'running', 'done')


def calls(readme):
    """The calls of a README, as they are pasted."""
    blocks = re.findall(r'```sh\n(.*?)```', (ROOT / readme).read_text(encoding = 'utf-8'), re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith('curl ')]


def test_both_readmes_have_the_same_calls():
    one, other = ([shlex.split(line, comments = True) for line in calls(readme)]
                  for readme in ('README.md', 'README.zh-CN.md'))
    assert one == other


# 38, 74
def test_the_readmes_calls_run_as_they_are_pasted(tmp_path, port):
    if not shutil.which('curl'):
        pytest.skip('curl is not installed')
    (tmp_path / 'photo.jpg').write_bytes(encoded(judges.scenery(240, 160)))
    lines = calls('README.zh-CN.md')
    assert len(lines) >= 8
    identity = ''
    for line in lines:
        here = line.replace('localhost:5000', f'localhost:{port}').replace('ID', identity)
        done = subprocess.run(['sh', '-c', here],
                              cwd = tmp_path,
                              env = {
                                  **os.environ, 'no_proxy': '*'
                              },
                              capture_output = True,
                              text = True,
                              check = False)
        assert done.returncode == 0, done.stderr
        words = shlex.split(line, comments = True)
        if '-o' in words:
            assert valid(tmp_path / words[words.index('-o') + 1]), line
            continue
        # the last event, or the only answer
        found = json.loads(done.stdout.strip().split('data: ')[-1])
        identity = found.get('id', identity)
        assert found.get('status', found.get('state')) in STATES, line
        assert found.get('state') == 'done' or '/events' not in line
    assert (tmp_path / 'moving.gif').read_bytes() != (tmp_path / 'lively.gif').read_bytes()
