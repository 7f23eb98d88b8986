#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Pictures are opened in processes that may break without harm.

Libraries: Pillow, pytest.
"""

import contextlib
import io
import os
import re
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import browser
import fuzzing
import hostile
import program
import pytest
from PIL import ExifTags, Image

from app import create_app
from modules import errors
from modules.configuration import Configuration, WebOptions
from modules.engines.registry import Engines
from modules.photos import reader as photos
from modules.photos.sandbox import calls
from modules.photos.sandbox.sandbox import Sandbox, SandboxedReader

#: longer than any honest answer of these tests takes on a busy machine
PATIENCE = 30

ROOMS = ('modules.photos.sandbox.calls', 'hostile')


@pytest.fixture
def sandbox():
    sandbox = Sandbox(10_000_000, PATIENCE, ROOMS)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope = 'module')
def lasting():
    """One for tests after which its processes are as they were before."""
    sandbox = Sandbox(10_000_000, PATIENCE, ROOMS)
    yield sandbox
    sandbox.close()


def run(sandbox, function, *arguments, **more):
    """What a function finds in a picture of no matter which content."""
    found, _content = sandbox.run(function, Path(__file__), *arguments, **more)
    return found


def process(sandbox, **more):
    """Which process answers."""
    return run(sandbox, hostile.own_process, **more)['process']


def submit(port, content):
    body, headers = program.form([], [('file', 'a.png', content)])
    answer = program.call(port, 'POST', '/jobs', body, headers)
    assert answer.status == 202
    return answer.json['id']


def until(port, identity, is_so):
    """A job, once something is so."""
    patience = time.monotonic() + PATIENCE
    while not is_so(job := program.call(port, 'GET', f'/jobs/{identity}').json):
        assert time.monotonic() < patience, job
        time.sleep(0.02)
    return job


def test_work_is_done_elsewhere_and_the_process_is_kept(sandbox):
    first = process(sandbox)
    assert first != os.getpid()
    assert process(sandbox) == first


@pytest.mark.parametrize('what', [hostile.crash, hostile.break_unexpectedly])
def test_a_process_that_breaks_is_a_damaged_picture_and_the_next_one_works(sandbox, what):
    first = process(sandbox)
    with pytest.raises(errors.DamagedImage):
        run(sandbox, what)
    assert process(sandbox) not in (first, os.getpid())


def test_a_runaway_is_ended():
    sandbox = Sandbox(10_000_000, 0.5, ROOMS)
    try:
        with pytest.raises(errors.DamagedImage):
            run(sandbox, hostile.run_away)
        sandbox.timeout = PATIENCE
        assert process(sandbox)
    finally:
        sandbox.close()


def test_one_that_breaks_takes_no_other_along(sandbox):
    answers = []
    person = threading.Thread(
        target = lambda: answers.append(run(sandbox, hostile.slow_process, 1)))
    person.start()
    time.sleep(0.1)
    with pytest.raises(errors.DamagedImage):
        run(sandbox, hostile.crash)
    person.join()
    assert answers


@pytest.mark.skipif(sys.platform != 'linux', reason = 'only Linux holds to the limit')
def test_memory_has_a_limit(sandbox):
    with pytest.raises(MemoryError):
        run(sandbox, hostile.eat_memory)


def test_the_largest_picture_that_is_allowed_fits_into_the_limit(tmp_path):
    side = 5000
    sandbox = Sandbox(side * side)
    try:
        for mode, kind in (('RGB', 'JPEG'), ('RGBA', 'PNG'), ('CMYK', 'TIFF')):
            path = tmp_path / kind
            Image.new(mode, (side, side)).save(path, kind)
            sandbox.run(calls.check, path, side * side)
            _found, shown = sandbox.run(calls.show, path, side * side, 1_000_000)
            with Image.open(io.BytesIO(shown)) as image:
                assert image.size == (1000, 1000)
            reader = SandboxedReader(sandbox, side * side)
            assert reader.read(path).image.size == (side, side)
            assert reader.still(path, (side, side)).size == (side, side)
    finally:
        sandbox.close()


def test_who_cannot_wait_gets_a_process_besides(sandbox):
    sandbox.line.spare = 0
    busy = [
        threading.Thread(target = run, args = (sandbox, hostile.slow_process, 3))
        for _place in range(sandbox.line.places)
    ]
    for person in busy:
        person.start()
    while sandbox.line._has_place():
        time.sleep(0.01)
    first = process(sandbox, at_once = True)
    assert process(sandbox, at_once = True) == first
    assert any(person.is_alive() for person in busy)
    for person in busy:
        person.join()
    # strangers do not get it
    assert first not in {process(sandbox) for _ in range(4)}


def test_what_is_read_elsewhere_is_the_same(lasting, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, 'Maker'
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (47.0, 22.5, 31.25)
    path = tmp_path / 'upload'
    Image.effect_mandelbrot((400, 300), (-2, -1, 1, 1), 40).save(path, 'JPEG', exif = exif)
    here, elsewhere = photos.PhotoReader(10**6), SandboxedReader(lasting, 10**6)
    for pixels in (None, 5000):
        one, other = here.read(path, pixels), elsewhere.read(path, pixels)
        assert (one.full_size, one.image.tobytes()) == (other.full_size, other.image.tobytes())
    assert here.still(path, (2, 1)) == elsewhere.still(path, (2, 1))
    with pytest.raises(errors.TooManyPixels):
        SandboxedReader(lasting, 1000).read(path)


def test_a_photo_that_breaks_a_decoder_only_for_the_engine_fails_its_job_alone(tmp_path):
    browser.Directed.go.clear()
    options = Configuration(web = WebOptions(port = 0))
    engines = Engines(options, {'camera': ('browser', 'Directed')})
    app = create_app(options, tmp_path, engines = engines)
    large = io.BytesIO()
    Image.new('L', (9000, 9000)).save(large, 'PNG')
    with program.served(app, options.web) as port:
        program.ready(port)
        first, second = submit(port, browser.photo()), submit(port, large.getvalue())
        until(port, first, lambda job: job['step'])
        # too short for the large one, which was looked at in time when it came
        app.extensions['services'].sandbox.timeout = 0.02
        browser.Directed.go.set()
        failed = until(port, second, lambda job: job['finished'])
        assert (failed['state'], failed['error']['code']) == ('failed', 'damaged_image')
        app.extensions['services'].sandbox.timeout = PATIENCE
        assert until(port, first, lambda job: job['finished'])['state'] == 'done'
        third = submit(port, browser.photo())
        assert until(port, third, lambda job: job['finished'])['state'] == 'done'


def test_what_a_picture_makes_libraries_say_is_not_in_the_log(sandbox, capfd):
    run(sandbox, hostile.warn)
    assert capfd.readouterr().err == ''


def test_refusals_travel_with_their_words(lasting):
    with pytest.raises(errors.TooManyPixels) as caught:
        run(lasting, hostile.refuse)
    expected = errors.TooManyPixels('file', pixels = 7, limit = 5)
    assert caught.value.field == 'file'
    assert caught.value.text.in_('zh') == expected.text.in_('zh')


def test_more_people_than_processes_wait_for_each_other(sandbox):
    answers = []
    people = [
        threading.Thread(target = lambda: answers.append(process(sandbox))) for _ in range(12)
    ]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(answers) == 12
    assert len(set(answers)) <= 4


@pytest.mark.parametrize('head', [{}, {
    'id': 2,
    'found': {}
}, {
    'id': 1,
    'refusal': {}
}, {
    'id': 1,
    'refusal': 'x'
}, {
    'id': 1,
    'refusal': {
        'code': 'out_of_range',
        'field': 'seed',
        'details': {}
    }
}, {
    'id': 1
}])
def test_an_answer_that_is_none_ends_the_process(sandbox, head):
    with pytest.raises(errors.DamagedImage):
        run(sandbox, hostile.answer_falsely, head)
    assert run(sandbox, hostile.echo, 'mine') == {'words': 'mine'}


@pytest.mark.parametrize('words', [
    'ff' * 100, '00000002' + '0000000000000000' + '5b5d', '00000001' + 'ffffffffffffffff' + '7b',
    '00100000' + '0000000000000000' + '5b' * 0x100000
])
def test_bytes_that_are_no_answer_end_the_process(sandbox, words):
    with pytest.raises(errors.DamagedImage):
        run(sandbox, hostile.answer_raw, words)
    assert run(sandbox, hostile.echo, 'mine') == {'words': 'mine'}


def test_what_a_process_answers_runs_nothing_in_the_program(sandbox, tmp_path):
    sandbox.timeout = 3
    with pytest.raises(errors.DamagedImage):
        run(sandbox, hostile.answer_raw, hostile.pickled(str(tmp_path / 'ran')))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('found', [{}, {
    'size': [4, 4],
    'full_size': [4, 4]
}, {
    'size': [-4, -4],
    'full_size': [4, 4]
}, {
    'size': 'xx',
    'full_size': [4, 4]
}, {
    'size': [10**30, 1],
    'full_size': [4, 4]
}])
def test_an_answer_that_cannot_be_is_a_damaged_picture(sandbox, caplog, found):

    class FalseSandbox:

        def run(self, _function, upload, *_arguments, **more):
            return sandbox.run(hostile.answer_falsely, upload, {'id': 1, 'found': found}, 'x')

    with pytest.raises(errors.DamagedImage):
        SandboxedReader(FalseSandbox(), 1000).read(Path(__file__))
    # it was understood, and not just too long in coming
    assert 'answers what it cannot have found' in caplog.text


def test_who_comes_after_a_call_that_was_broken_off_gets_no_strangers_answer(sandbox):

    class BrokenOff(Exception):
        """Comes in the middle of a call."""

    def break_off(_number, _frame):
        raise BrokenOff

    before = signal.signal(signal.SIGALRM, break_off)
    try:
        signal.setitimer(signal.ITIMER_REAL, 2)
        with pytest.raises(BrokenOff):
            run(sandbox, hostile.slow_process, 4)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert run(sandbox, hostile.echo, 'mine') == {'words': 'mine'}


@pytest.mark.skipif(sys.platform == 'win32', reason = 'Windows has no such limits')
def test_a_process_that_was_taken_over_reaches_nothing(sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv('HF_TOKEN', 'secret')
    file = tmp_path / 'configuration.ini'
    file.write_text('Password = secret')
    with socket.create_server(('127.0.0.1', 0)) as server:
        found = run(sandbox, hostile.look_around, str(file), server.getsockname()[1])
    assert found['reached'] == []
    assert 'secret' not in str(found['environment'])


@pytest.mark.skipif(sys.platform != 'linux', reason = 'looks into /proc')
def test_a_process_may_neither_dump_its_memory_nor_work_for_ever(sandbox):
    limits = Path(f'/proc/{process(sandbox)}/limits').read_text()
    limited = {line[:25].strip(): line[25:].split()[:2] for line in limits.splitlines()}
    assert limited['Max core file size'] == limited['Max file size'] == ['0', '0']
    assert int(limited['Max cpu time'][0]) < 60


@pytest.mark.skipif(sys.platform != 'linux', reason = 'looks into /proc')
def test_the_time_a_picture_may_take_grows_with_its_size(sandbox, tmp_path):
    limits, number = [], process(sandbox)
    for side in (30, 3000):
        Image.new('L', (side, side)).save(tmp_path / 'upload', 'PNG')
        sandbox.run(calls.check, tmp_path / 'upload', 10_000_000)
        words = Path(f'/proc/{number}/limits').read_text()
        limits.append(int(re.search(r'Max cpu time +([0-9]+)', words)[1]))
    assert process(sandbox) == number
    assert 5 <= limits[0] < limits[1] < 12
    assert (calls.seconds_for(0), calls.seconds_for(100_000_000)) == (5, 30)


@pytest.mark.parametrize('kind', fuzzing.FORMATS)
def test_every_format_is_read_without_opening_a_file(lasting, tmp_path, kind):
    path = tmp_path / 'upload'
    path.write_bytes(fuzzing.originals()[kind])
    here, elsewhere = photos.PhotoReader(10**6), SandboxedReader(lasting, 10**6)
    assert elsewhere.read(path).image.tobytes() == here.read(path).image.tobytes()
    assert elsewhere.still(path, (1, 1)) == here.still(path, (1, 1))


def children(process):
    """Processes that any thread of a process has started."""
    found = []
    for task in Path(f'/proc/{process}/task').iterdir():
        # threads come and go
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, (task / 'children').read_text().split())
    return found


@pytest.mark.skipif(sys.platform != 'linux', reason = 'looks into /proc')
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_program(tmp_path, number):
    picture = io.BytesIO()
    Image.new('RGB', (64, 48)).save(picture, 'PNG')
    ini = '[ModelOptions]\nEngine = camera\nSeconds = 1\nImagePromptWidth = 64\nImagePromptHeight = 64\n'
    with program.started(tmp_path, ini) as (process, port):
        assert program.generate(port, picture.getvalue()).status == 200
        alive = children(process.pid)
        assert alive
        process.send_signal(number)
        process.wait(20)
        patience = time.monotonic() + 20
        while any(Path(f'/proc/{child}').exists() for child in alive):
            assert time.monotonic() < patience
            time.sleep(0.05)


@pytest.mark.skipif(sys.platform != 'linux', reason = 'looks into /proc')
def test_a_picture_whose_process_dies_is_415_and_the_next_one_is_served(tmp_path):
    small, large = io.BytesIO(), io.BytesIO()
    Image.new('RGB', (64, 48)).save(small, 'PNG')
    Image.new('L', (9000, 9000)).save(large, 'PNG')
    ini = '[ModelOptions]\nEngine = camera\nSeconds = 1\nImagePromptWidth = 64\nImagePromptHeight = 64\n'
    answers = []
    with program.started(tmp_path, ini) as (process, port):
        person = threading.Thread(
            target = lambda: answers.append(program.generate(port, large.getvalue())))
        person.start()
        while person.is_alive():
            for child in children(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        person.join()
        assert (answers[0].status, answers[0].json['code']) == (415, 'damaged_image')
        assert program.generate(port, small.getvalue()).status == 200
