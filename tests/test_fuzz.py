#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Strangers who send whatever they like, for some seconds; ``bench/fuzz.py`` does the same for minutes.

Libraries: hypothesis, Pillow, pillow-heif, pytest.
"""

import contextlib
from pathlib import Path

import fuzzing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from modules import errors, parameters
from modules.sandbox import Sandbox

# Werkzeug leaves the beginning of a broken upload to Python, which closes it at once
pytestmark = pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning',
                                        'ignore:Unclosed file:ResourceWarning')

FEW = settings(max_examples = 150, deadline = None)
ORIGINALS = fuzzing.originals()


@pytest.fixture(scope = 'module')
def sandbox():
    sandbox = Sandbox(fuzzing.MAX_PIXELS)
    yield sandbox
    sandbox.close()


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
        request = parameters.parse(fields, Path('upload'), 'photo')
        assert 0 <= request.motion_bucket_id <= 255
        assert 0 <= request.noise_aug_strength <= 1
        assert 1 <= request.max_guidance_scale <= 10
        assert 0 <= request.seed <= parameters.GREATEST_SEED
