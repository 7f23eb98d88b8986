#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The whole program, as a person starts it: command line, start, end, batch, doctor.

Libraries: Pillow, psutil, pytest.
"""

import contextlib
import fcntl
import io
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy
import program
import psutil
import pytest
from PIL import Image

from modules import VERSION
from modules.commands import serve
from modules.engines.diffusion import allocator

ROOT = Path(__file__).resolve().parents[2]
SMALL = '[ModelOptions]\nEngine = camera\nImagePromptWidth = 128\nImagePromptHeight = 64\nSeconds = 1\nOutputFPS = 4\n'


def photo(path, size = (160, 90)):
    values = numpy.random.default_rng(size[0]).integers(0, 255, (size[1] // 8, size[0] // 8, 3),
                                                        numpy.uint8)
    Image.fromarray(values).resize(size).save(path, quality = 90)
    return path


def run(*arguments, cwd = None, **environment):
    variables = {**os.environ, 'LANG': 'C.UTF-8', 'LC_ALL': 'C.UTF-8', **environment}
    return subprocess.run(
        [sys.executable, str(ROOT / '__main__.py'), *map(str, arguments)],
        capture_output = True,
        encoding = 'utf-8',
        timeout = 120,
        cwd = cwd,
        env = variables,
        check = False)


@pytest.fixture
def small(tmp_path):
    path = tmp_path / 'small.ini'
    path.write_text(SMALL)
    return path


def test_starts_where_a_library_of_videos_is_broken(tmp_path):
    (tmp_path / 'av.py').write_text('raise ImportError')
    done = subprocess.run([sys.executable, ROOT / '__main__.py', '--version'],
                          env = {
                              **os.environ, 'PYTHONPATH': str(tmp_path)
                          },
                          check = False)
    assert done.returncode == 0


def test_tells_its_version():
    assert run('--version').stdout.strip() == VERSION


def test_app_py_is_the_same_program():
    command = [sys.executable, str(ROOT / 'app.py'), '--version']
    assert subprocess.run(
        command, capture_output = True, check = True).stdout.strip() == VERSION.encode()


@pytest.mark.parametrize(('language', 'words'), [('en_US.UTF-8', 'living picture'),
                                                 ('zh_CN.UTF-8', '会动的照片')])
def test_help_speaks_the_systems_language(language, words):
    assert words in run('--help', LANG = language, LC_ALL = '').stdout


def test_help_shows_defaults():
    assert '(default 5000)' in run('serve', '--help').stdout


@pytest.mark.parametrize('arguments', [('--logging-level', 'loud'), ('--config', 'none.ini'),
                                       ('--nonsense', ), ('dance', ), ('animate', )])
def test_refuses_a_command_line_it_does_not_understand(arguments):
    assert run(*arguments).returncode == 2


def test_reports_every_problem_of_the_ini_and_starts_nothing(tmp_path):
    path = tmp_path / 'bad.ini'
    path.write_text('[WebOptions]\nPrt = 1\nMaxPixels = x\n')
    found = run('--config', path)
    assert found.returncode == 2
    assert '2 problem' in found.stderr
    assert 'Did you mean Port?' in found.stderr
    assert 'line 3' in found.stderr


def test_a_taken_port_is_one_sentence(tmp_path, small):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        found = run('--config', small, '--port', taken.getsockname()[1])
    assert found.returncode == 1
    assert 'Cannot listen' in found.stderr
    assert 'Traceback' not in found.stderr


def test_answers_after_a_second_of_work_or_so_and_serves_a_photo(tmp_path):
    with program.started(tmp_path, SMALL) as (process, port):
        assert program.call(port, 'GET', '/health').status == 200
        # what it has computed until then hangs little on what else the machine does
        assert sum(psutil.Process(process.pid).cpu_times()[:2]) < 4
        program.ready(port)
        answer = program.generate(port, photo(tmp_path / 'a.jpg').read_bytes())
        assert answer.headers['X-Engine'] == 'camera'
        with Image.open(io.BytesIO(answer.body)) as image:
            assert (image.size, image.n_frames) == ((120, 68), 4)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_ends_cleanly_on_a_signal(tmp_path, number):
    with program.started(
            tmp_path, SMALL, environment = {'TMPDIR': str(tmp_path)}) as (process, port):
        program.ready(port)
        process.send_signal(number)
        assert process.wait(10) == 0
        assert 'Traceback' not in (tmp_path / 'log').read_text()
        assert not list(tmp_path.glob('turn-live-photos-*'))


def test_goes_on_without_its_terminal_where_that_is_wanted(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with program.started(tmp_path, SMALL) as (process, port):
            process.send_signal(signal.SIGHUP)
            answer = program.generate(port, photo(tmp_path / 'a.jpg').read_bytes())
            assert answer.status == 200
            assert process.poll() is None
    finally:
        signal.signal(signal.SIGHUP, before)


#: the program with an engine that is busy when nobody waits, and with a library that would not let it end
BUSY = f'''
import atexit, runpy, sys, time
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests' / 'support')!r}]
import stand_ins
from modules import engines
from modules.jobs import work
work.IDLE_SECONDS = 0.1

class Busy(stand_ins.Instant):
    def prepare(self, stop_if_cancelled):
        atexit.register(time.sleep, 60)
        print('busy', flush = True)
        time.sleep(60)

engines.TABLE.clear()
sys.modules['busy'] = sys.modules['__main__']
engines.TABLE['camera'] = ('busy', 'Busy')
runpy.run_path({str(ROOT / '__main__.py')!r}, run_name = '__main__')
'''


def test_does_not_wait_for_what_is_done_while_nobody_waits(tmp_path):
    script = tmp_path / 'busy.py'
    script.write_text(BUSY)
    with program.started(
            tmp_path,
            SMALL, ['--output-temp'],
            environment = {'TMPDIR': str(tmp_path)},
            script = script) as (process, port):
        program.until(lambda: 'busy' in (tmp_path / 'log').read_text())
        assert program.call(port, 'GET', '/health').json['status'] == 'READY'
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    assert 'Traceback' not in (tmp_path / 'log').read_text()
    assert not list(tmp_path.glob('turn-live-photos-*'))


def test_ends_while_a_request_is_half_sent(tmp_path):
    with program.started(tmp_path, SMALL) as (process, port), \
            socket.create_connection(('127.0.0.1', port)) as client:
        client.sendall(b'POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nx')
        time.sleep(0.2)
        process.terminate()
        assert process.wait(10) == 0


def test_strangers_cannot_write_lines_into_the_log(tmp_path):
    with program.started(tmp_path, SMALL) as (process, port):
        program.call(port, 'GET', '/%0A12:00:00%20ERROR%20forged')
        body, headers = program.form([('a\\nforged', '1')], [])
        program.call(port, 'POST', '/generate', body, headers)
        process.terminate()
        process.wait(10)
    lines = (tmp_path / 'log').read_text().splitlines()
    assert not [line for line in lines if line.startswith(('12:00:00 ERROR', 'forged'))]


@pytest.mark.parametrize('level', ['WARNING', 'warning'])
def test_the_logging_level_holds_and_the_address_is_printed_at_any(tmp_path, level):
    with program.started(
            tmp_path,
            SMALL, ['--logging-level', level],
            environment = {
                'LC_ALL': 'zh_CN.UTF-8',
                'PYTHONIOENCODING': 'utf-8'
            }) as (process, port):
        program.ready(port)
        process.terminate()
        process.wait(10)
    shown = (tmp_path / 'log').read_text(encoding = 'utf-8')
    assert 'INFO' not in shown
    assert f'在浏览器打开 http://127.0.0.1:{port}/' in shown


def test_animates_a_photo_beside_itself(tmp_path, small):
    photo(tmp_path / '猫 1.jpg')
    found = run('animate', tmp_path / '猫 1.jpg', '--config', small, '--seed', '5')
    assert found.returncode == 0, found.stderr
    assert 'seed 5' in found.stdout
    with Image.open(tmp_path / '猫 1.gif') as image:
        assert image.n_frames == 4


def test_options_stand_on_either_side_of_the_command(tmp_path, small):
    photo(tmp_path / 'a.jpg')
    for arguments in (('--config', small, 'animate', tmp_path / 'a.jpg'),
                      ('animate', tmp_path / 'a.jpg', '--config', small)):
        assert run(*arguments, '-o', tmp_path / 'b.gif').returncode == 0
    with Image.open(tmp_path / 'b.gif') as image:
        assert image.size == (120, 68)


@pytest.mark.parametrize('closed', ['1>&-', '2>&-', '1>&- 2>&-'])
def test_works_with_its_streams_closed(tmp_path, small, closed):
    photo(tmp_path / 'a.jpg')
    command = [
        sys.executable,
        str(ROOT / '__main__.py'), 'animate', 'a.jpg', '--config',
        str(small)
    ]
    done = subprocess.run(['sh', '-c', f'"$@" {closed}', 'sh', *command],
                          cwd = tmp_path,
                          timeout = 60,
                          check = False)
    assert done.returncode == 0
    with Image.open(tmp_path / 'a.gif') as image:
        assert image.n_frames == 4


def test_the_same_seed_makes_the_same_bytes(tmp_path, small):
    photo(tmp_path / 'a.jpg')
    for name in ('one.gif', 'two.gif'):
        run('animate', tmp_path / 'a.jpg', '--config', small, '--seed', '5', '-o', tmp_path / name)
    assert (tmp_path / 'one.gif').read_bytes() == (tmp_path / 'two.gif').read_bytes()


def test_animates_a_folder_and_goes_on_after_a_broken_photo(tmp_path, small):
    folder = tmp_path / 'photos'
    folder.mkdir()
    photo(folder / 'a.jpg')
    (folder / 'b.jpg').write_text('no photo')
    photo(folder / 'c.png')
    (folder / 'notes.txt').write_text('no photo either')
    found = run('animate', folder, '--config', small, '-o', tmp_path / 'out')
    assert found.returncode == 1
    assert 'b.jpg' in found.stderr
    assert 'a.gif' in found.stdout
    assert 'b.jpg' not in found.stdout
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['a.gif', 'c.gif']


def test_never_overwrites_what_nobody_named(tmp_path, small):
    photo(tmp_path / 'a.jpg')
    (tmp_path / 'a.gif').write_text('mine')
    assert run('animate', tmp_path / 'a.jpg', '--config', small).returncode == 0
    assert (tmp_path / 'a.gif').read_text() == 'mine'
    assert (tmp_path / 'a-2.gif').stat().st_size > 100


def test_several_photos_cannot_go_into_one_file(tmp_path, small):
    photo(tmp_path / 'a.jpg')
    photo(tmp_path / 'b.jpg')
    found = run('animate', tmp_path / 'a.jpg', tmp_path / 'b.jpg', '--config', small, '-o',
                tmp_path / 'out.gif')
    assert found.returncode == 2
    assert not (tmp_path / 'out.gif').exists()


def test_never_overwrites_the_photo(tmp_path, small):
    before = photo(tmp_path / 'a.webp').read_bytes()
    found = run('animate', tmp_path / 'a.webp', '--config', small, '-o', tmp_path / 'a.webp')
    assert found.returncode == 2
    assert 'the photo itself' in found.stderr
    assert (tmp_path / 'a.webp').read_bytes() == before


def test_the_ending_of_the_output_decides_the_format(tmp_path, small):
    photo(tmp_path / 'a.jpg')
    assert run('animate', tmp_path / 'a.jpg', '--config', small, '-o',
               tmp_path / 'b.WEBP').returncode == 0
    with Image.open(tmp_path / 'b.WEBP') as image:
        assert image.format == 'WEBP'
        # frames that are alike are one frame that is seen for longer; all together last the second that was asked for
        durations = []
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            durations.append(image.info['duration'])
        assert (sum(durations), min(durations)) == (1000, 33) and image.n_frames > 20


def test_an_ending_and_a_format_that_disagree_are_one_sentence(tmp_path, small):
    photo(tmp_path / 'a.jpg')
    found = run('animate', tmp_path / 'a.jpg', '--config', small, '--format', 'gif', '-o',
                tmp_path / 'b.mp4')
    assert found.returncode == 2
    assert 'does not end in .gif' in found.stderr
    assert not (tmp_path / 'b.mp4').exists()


def test_photos_of_one_name_go_into_one_folder(tmp_path, small):
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        photo(tmp_path / name / 'a.jpg')
    found = run('animate', tmp_path / 'one', tmp_path / 'two', '--config', small, '-o',
                f'{tmp_path}/out.gif/')
    assert found.returncode == 0, found.stderr
    assert sorted(p.name for p in (tmp_path / 'out.gif').iterdir()) == ['a-2.gif', 'a.gif']


SLOW = '[ModelOptions]\nEngine = camera\nImagePromptWidth = 1024\nImagePromptHeight = 576\nSeconds = 10\n'


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_clip_leaves_nothing_behind(tmp_path, number):
    (tmp_path / 'slow.ini').write_text(SLOW)
    home = tmp_path / 'photos'
    home.mkdir()
    photo(home / 'a.jpg', (1600, 900))
    command = [
        sys.executable,
        str(ROOT / '__main__.py'), 'animate', 'photos', '--config', 'slow.ini'
    ]
    with subprocess.Popen(
            command, cwd = tmp_path, stdout = subprocess.PIPE,
            stderr = subprocess.STDOUT) as process:
        while not list(home.glob('.*')):
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.5)
        process.send_signal(number)
        output = process.stdout.read().decode()
    assert process.returncode == 128 + number, output
    assert 'Traceback' not in output
    assert [path.name for path in home.iterdir()] == ['a.jpg']


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_is_no_traceback(tmp_path, number):
    with program.started(
            tmp_path, SMALL, ['--output-temp'], environment = {'TMPDIR': str(tmp_path)},
            wait = False) as (process, _port):
        while not list(tmp_path.glob('turn-live-photos-*')) and process.poll() is None:
            time.sleep(0.005)
        # the folder is there a moment before its name is known to the program
        time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(20) in (0, 128 + number)
    assert 'Traceback' not in (tmp_path / 'log').read_text()
    assert not list(tmp_path.glob('turn-live-photos-*'))


def test_names_the_terminal_cannot_show_stop_nothing(tmp_path, small):
    photo(tmp_path / '猫.jpg')
    found = run('animate', tmp_path / '猫.jpg', '--config', small, PYTHONIOENCODING = 'ascii')
    assert found.returncode == 0, found.stderr
    assert '?.gif' in found.stdout
    assert (tmp_path / '猫.gif').exists()


def test_a_host_that_is_none_is_one_sentence(small):
    found = run('--config', small, '--host', 'nonsense.invalid', '--port', '0')
    assert found.returncode == 1
    assert 'Cannot listen on nonsense.invalid' in found.stderr
    assert 'Traceback' not in found.stderr


@pytest.mark.parametrize(('host', 'url'), [('::1', 'http://[::1]:7/'),
                                           ('::', 'http://localhost:7/'),
                                           ('127.0.0.1', 'http://127.0.0.1:7/')])
def test_the_address_is_one_a_browser_takes(host, url):
    assert serve.address(host, 7) == url


@pytest.mark.parametrize(('split', 'given'), [(['--max-split-size-mb=64'], None), ([], None),
                                              (['--max-split-size-mb=64'], 'backend:native')])
def test_the_split_size_reaches_torch_and_the_environment_goes_first(small, split, given):
    """Where segments can grow they do, with that option and without."""
    code = ('import os, runpy, sys; sys.path.insert(0, ".");'
            'runpy.run_path("__main__.py")["main"]();'
            'print("is", os.environ.get("PYTORCH_CUDA_ALLOC_CONF", ""))')
    command = [sys.executable, '-c', code, 'animate', 'none.jpg', *split, '--config', small]
    growing = ['expandable_segments:True'] if allocator.can_grow() else []
    expected = given or ','.join(['max_split_size_mb:64'] * len(split) + growing)
    environment = {k: v for k, v in os.environ.items() if k != 'PYTORCH_CUDA_ALLOC_CONF'}
    environment |= {'PYTORCH_CUDA_ALLOC_CONF': given} if given else {}
    found = subprocess.run(
        command,
        cwd = ROOT,
        env = environment,
        capture_output = True,
        encoding = 'utf-8',
        check = True)
    assert f'is {expected}' in found.stdout.splitlines()


def test_the_bars_name_the_photo_count_and_speak_to_the_reader(tmp_path, small):
    for name in ('moon', 'sun'):
        photo(tmp_path / f'{name}.jpg')
    (tmp_path / 'broken.jpg').write_bytes(b'no photo')
    ours, theirs = pty.openpty()
    # a terminal of no size has no room for bars
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 100, 0, 0))
    command = [
        sys.executable,
        str(ROOT / '__main__.py'), 'animate', tmp_path, '--config', small, '--logging-level', 'info'
    ]
    environment = {**os.environ, 'LC_ALL': 'zh_CN.UTF-8', 'PYTHONIOENCODING': 'utf-8'}
    with subprocess.Popen(
            command, stdout = subprocess.PIPE, stderr = theirs, env = environment) as process:
        os.close(theirs)
        shown = b''
        # what a terminal without programs answers is an error
        with contextlib.suppress(OSError):
            while some := os.read(ours, 65536):
                shown += some
        os.close(ours)
        results = process.stdout.read().decode()
    for words in ('moon: ', 'sun: ', '0/3', '1/3', '写入文件'):
        assert words in shown.decode(), shown.decode()
    assert 'writing' not in shown.decode()
    assert 'moon.gif' in results
    # the bars are moved away for the log and come back
    logged = next(line for line in shown.split(b'\n') if b'INFO' in line)
    assert re.fullmatch(rb'\d\d:\d\d:\d\d INFO .*', logged.rstrip().split(b'\r')[-1])


def test_a_missing_photo_is_one_sentence(tmp_path, small):
    found = run('animate', tmp_path / 'none.jpg', '--config', small)
    assert found.returncode == 1
    assert 'none.jpg' in found.stderr
    assert 'Traceback' not in found.stdout + found.stderr


def test_bad_parameters_of_animate_are_told(tmp_path, small):
    found = run('animate', photo(tmp_path / 'a.jpg'), '--config', small, '--motion-bucket-id',
                '999')
    assert found.returncode == 2
    assert '0 to 255' in found.stderr


def test_doctor_tells_what_can_run(small):
    found = run('doctor', '--config', small)
    assert found.returncode == 0
    for words in ('turn-live-photos', VERSION, 'Python', 'engine camera', 'works'):
        assert words in found.stdout


def test_who_reads_the_beginning_of_the_report_sees_no_traceback(small):
    with subprocess.Popen(
        [sys.executable, str(ROOT / '__main__.py'), 'doctor', '--config', small],
            stdout = subprocess.PIPE,
            stderr = subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b''


def test_nothing_heavy_is_imported_before_the_port_is_open():
    code = 'import app, modules.web.server, sys; print(sorted({"torch", "diffusers", "cv2"} & set(sys.modules)))'
    found = subprocess.run([sys.executable, '-c', code],
                           cwd = ROOT,
                           capture_output = True,
                           check = True)
    assert found.stdout.strip() == b'[]'
