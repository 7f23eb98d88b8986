#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The table of formats, and their types and names over HTTP.

Libraries: pytest, Pillow.
"""

import io
import json
import re

import program
import pytest
from judges import scenery
from stand_ins import table

from app import create_app
from modules import i18n
from modules.configuration import Configuration, WebOptions
from modules.encoders import TABLE
from modules.engines.registry import Engines

#: format → type, beginning of the file, name
EXPECTED = {
    'gif': ('image/gif', b'GIF89a', r'my trip\.gif'),
    'mp4': ('video/mp4', b'\0\0\0', r'my trip\.mp4'),
    'webp': ('image/webp', b'RIFF', r'my trip\.webp'),
    'live-photo': ('application/zip', b'PK', r'my trip\.pvt\.zip'),
    'motion-photo': ('image/jpeg', b'\xff\xd8\xff\xe1', r'IMG_\d{8}_\d{6}_\d{6}_MP\.jpg'),
}


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    configuration = Configuration(web = WebOptions(port = 0))
    engines = Engines(configuration, table(camera = 'Drifting'))
    app = create_app(configuration, tmp_path_factory.mktemp('home'), engines = engines)
    with program.served(app, configuration.web) as port:
        program.ready(port)
        yield port


@pytest.fixture(scope = 'module')
def photo():
    content = io.BytesIO()
    scenery(320, 192).save(content, 'JPEG')
    return content.getvalue()


def test_every_format_is_expected_here():
    assert set(EXPECTED) == set(TABLE)


@pytest.mark.parametrize('language', i18n.LANGUAGES)
def test_every_format_has_words_on_the_page(language):
    words = json.loads((i18n.LOCALES / f'{language}.json').read_text(encoding = 'utf-8'))['page']
    assert all(words[f'format_{name}'] and words[f'format_{name}_help'] for name in TABLE)


@pytest.mark.parametrize('wanted', ['', *EXPECTED])
def test_every_format_comes_with_its_type_and_name(port, photo, wanted):
    kind, start, name = EXPECTED[wanted or 'gif']
    answer = program.generate(port, photo, [('format', wanted)], name = 'my trip.jpeg')
    assert answer.status == 200
    assert answer.headers['Content-Type'] == kind
    assert answer.body.startswith(start)
    assert re.search(rf'filename="?{name}"?$', answer.headers['Content-Disposition'])


@pytest.mark.parametrize('field', ['loop', 'key_frame'])
def test_a_word_nobody_knows_is_refused(port, photo, field):
    answer = program.generate(port, photo, [(field, 'sideways')])
    assert (answer.status, answer.json['code'], answer.json['field']) == (400, 'unknown_choice',
                                                                          field)


def test_asking_for_a_loop_changes_the_clip(port, photo):
    plain, there_and_back = (
        program.generate(port, photo, [('loop', loop)]).body for loop in ('none', 'pingpong'))
    assert len(there_and_back) > 1.5 * len(plain)
