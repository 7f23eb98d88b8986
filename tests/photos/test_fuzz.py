#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Strangers who send whatever they like, for some seconds; ``bench/fuzz.py`` does the same for minutes.

Libraries: hypothesis, Pillow, pillow-heif, pytest.
"""

import contextlib
from pathlib import Path

import fuzzing
import program
import pytest
import stand_ins
from hypothesis import Phase, given, settings
from hypothesis import strategies as some

from app import create_app
from modules import errors
from modules.choices import GREATEST_SEED
from modules.configuration import Configuration, WebOptions
from modules.engines.registry import Engines
from modules.photos.sandbox.sandbox import Sandbox
from modules.request import parse_request

# Werkzeug leaves the beginning of a broken upload to Python, which closes it at once
pytestmark = pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning',
                                        'ignore:Unclosed file:ResourceWarning')

FEW = settings(max_examples = 150, deadline = None)
#: the same ones each time; what fails is not made smaller, because each try may have to wait for what never comes
SOME = settings(
    max_examples = 600,
    deadline = None,
    derandomize = True,
    database = None,
    phases = (Phase.generate, ))
ORIGINALS = fuzzing.originals()


@pytest.fixture(scope = 'module')
def sandbox():
    sandbox = Sandbox(fuzzing.MAX_PIXELS)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    options = Configuration(web = WebOptions(port = 0))
    engines = Engines(options, stand_ins.table(camera = 'Instant'))
    app = create_app(options, tmp_path_factory.mktemp('fuzz'), engines = engines)
    with program.served(app, options.web) as port:
        program.ready(port)
        yield port


@pytest.mark.parametrize('kind', fuzzing.FORMATS)
def test_whole_pictures_are_good(sandbox, kind):
    assert fuzzing.check_picture(sandbox, ORIGINALS[kind])


@FEW
@given(content = fuzzing.damaged(ORIGINALS))
def test_a_damaged_picture_is_good_or_refused(sandbox, content):
    fuzzing.check_picture(sandbox, content)


@FEW
@given(fields = some.lists(some.tuples(fuzzing.NAMES, fuzzing.VALUES), max_size = 5))
def test_parameters_are_good_or_refused(fields):
    with contextlib.suppress(errors.BadRequest):
        request = parse_request(fields, Path('upload'), 'photo')
        assert 0 <= request.motion_bucket_id <= 255
        assert 0 <= request.noise_aug_strength <= 1
        assert 1 <= request.max_guidance_scale <= 10
        assert 0 <= request.seed <= GREATEST_SEED


@FEW
@given(drawn = fuzzing.DRAWINGS)
def test_a_drawing_is_good_or_refused(drawn):
    with contextlib.suppress(errors.BadDrawing):
        request = parse_request([('flow', drawn)], Path('upload'), 'photo')
        if request.flow:
            assert request.drawn_flow.strokes or request.drawn_flow.pins
            assert parse_request([('flow', request.flow)], Path('upload'),
                                 'photo').flow == request.flow


@SOME
@given(body = fuzzing.BODIES)
def test_a_strange_body_is_answered_in_order(port, body):
    assert fuzzing.check_request(port, fuzzing.posted(body)) in (400, 413, 415)


@SOME
@given(request = fuzzing.HEADS)
def test_a_strange_head_is_answered_in_order(port, request):
    fuzzing.check_request(port, request)
