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

import hostile
import program
import pytest
from PIL import Image

from modules import errors, photos
from modules.sandbox import Sandbox

#: longer than any honest answer of these tests takes on a busy machine
PATIENCE = 30


@pytest.fixture
def sandbox():
    sandbox = Sandbox(10_000_000, PATIENCE)
    yield sandbox
    sandbox.close()


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
    finally:
        sandbox.close()


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
