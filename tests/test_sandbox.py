#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Pictures are opened in processes that may break without harm.

Libraries: Pillow, pytest.
"""

import contextlib
import io
import os
import signal
import sys
import threading
import time
from pathlib import Path

import browser
import hostile
import program
import pytest
from PIL import ExifTags, Image

from app import create_app
from modules import errors, photos
from modules.configuration import Configuration, WebOptions
from modules.engines import Engines
from modules.sandbox import Sandbox, SandboxedReader

#: longer than any honest answer of these tests takes on a busy machine
PATIENCE = 30


@pytest.fixture
def sandbox():
    sandbox = Sandbox(10_000_000, PATIENCE)
    yield sandbox
    sandbox.close()


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
    first = sandbox.run(hostile.own_process)
    assert first != os.getpid()
    assert sandbox.run(hostile.own_process) == first


@pytest.mark.parametrize('what', [hostile.crash, hostile.break_unexpectedly])
def test_a_process_that_breaks_is_a_damaged_picture_and_the_next_one_works(sandbox, what):
    first = sandbox.run(hostile.own_process)
    with pytest.raises(errors.DamagedImage):
        sandbox.run(what)
    assert sandbox.run(hostile.own_process) not in (first, os.getpid())


def test_a_runaway_is_ended():
    sandbox = Sandbox(10_000_000, 0.5)
    try:
        with pytest.raises(errors.DamagedImage):
            sandbox.run(hostile.run_away)
        sandbox.patience = PATIENCE
        assert sandbox.run(hostile.own_process)
    finally:
        sandbox.close()


def test_one_that_breaks_takes_no_other_along(sandbox):
    answers = []
    person = threading.Thread(target = lambda: answers.append(sandbox.run(hostile.slow_process, 1)))
    person.start()
    time.sleep(0.1)
    with pytest.raises(errors.DamagedImage):
        sandbox.run(hostile.crash)
    person.join()
    assert answers


@pytest.mark.skipif(sys.platform != 'linux', reason = 'only Linux holds to the limit')
def test_memory_has_a_limit(sandbox):
    with pytest.raises(MemoryError):
        sandbox.run(hostile.eat_memory)


def test_the_largest_picture_that_is_allowed_fits_into_the_limit(tmp_path):
    side = 5000
    sandbox = Sandbox(side * side)
    try:
        for mode, kind in (('RGB', 'JPEG'), ('RGBA', 'PNG'), ('CMYK', 'TIFF')):
            path = tmp_path / kind
            Image.new(mode, (side, side)).save(path, kind)
            sandbox.run(photos.check, path, side * side)
            shown = sandbox.run(photos.show, path, side * side, 1_000_000)
            with Image.open(io.BytesIO(shown)) as image:
                assert image.size == (1000, 1000)
            assert sandbox.run(photos.read, path, side * side, None).image.size == (side, side)
    finally:
        sandbox.close()


def test_who_cannot_wait_gets_a_process_besides(sandbox):
    busy = [
        threading.Thread(target = sandbox.run, args = (hostile.slow_process, 3))
        for _place in range(sandbox._free.qsize())
    ]
    for person in busy:
        person.start()
    while sandbox._free.qsize():
        time.sleep(0.01)
    first = sandbox.run(hostile.own_process, at_once = True)
    assert sandbox.run(hostile.own_process, at_once = True) == first
    assert any(person.is_alive() for person in busy)
    for person in busy:
        person.join()
    # strangers do not get it
    assert first not in {sandbox.run(hostile.own_process) for _ in range(4)}


def test_what_is_read_elsewhere_is_the_same(sandbox, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, 'Maker'
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (47.0, 22.5, 31.25)
    path = tmp_path / 'upload'
    Image.effect_mandelbrot((400, 300), (-2, -1, 1, 1), 40).save(path, 'JPEG', exif = exif)
    here, elsewhere = photos.PhotoReader(10**6), SandboxedReader(sandbox, 10**6)
    for pixels in (None, 5000):
        one, other = here.read(path, pixels), elsewhere.read(path, pixels)
        assert (one.full_size, one.image.tobytes()) == (other.full_size, other.image.tobytes())
    assert here.exif(path) == elsewhere.exif(path)
    with pytest.raises(errors.TooManyPixels):
        SandboxedReader(sandbox, 1000).read(path)


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
        app.extensions['services'].sandbox.patience = 0.02
        browser.Directed.go.set()
        failed = until(port, second, lambda job: job['finished'])
        assert (failed['state'], failed['error']['code']) == ('failed', 'damaged_image')
        app.extensions['services'].sandbox.patience = PATIENCE
        assert until(port, first, lambda job: job['finished'])['state'] == 'done'
        third = submit(port, browser.photo())
        assert until(port, third, lambda job: job['finished'])['state'] == 'done'


def test_what_a_picture_makes_libraries_say_is_not_in_the_log(sandbox, capfd):
    sandbox.run(hostile.warn)
    assert capfd.readouterr().err == ''


def test_refusals_travel_with_their_words(sandbox):
    with pytest.raises(errors.TooManyPixels) as caught:
        sandbox.run(hostile.refuse)
    expected = errors.TooManyPixels('file', pixels = 7, limit = 5)
    assert caught.value.field == 'file'
    assert caught.value.text.in_('zh') == expected.text.in_('zh')


def test_more_people_than_processes_wait_for_each_other(sandbox):
    answers = []
    people = [
        threading.Thread(target = lambda: answers.append(sandbox.run(hostile.own_process)))
        for _ in range(12)
    ]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(answers) == 12
    assert len(set(answers)) <= 4


def children(process):
    """Processes that any thread of a process has started."""
    tasks = Path(f'/proc/{process}/task').iterdir()
    return [int(child) for task in tasks for child in (task / 'children').read_text().split()]


@pytest.mark.skipif(sys.platform != 'linux', reason = 'looks into /proc')
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_program(tmp_path, number):
    picture = io.BytesIO()
    Image.new('RGB', (64, 48)).save(picture, 'PNG')
    ini = '[ModelOptions]\nEngine = camera\nOutputFrames = 2\n'
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
    ini = '[ModelOptions]\nEngine = camera\nOutputFrames = 2\n'
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
