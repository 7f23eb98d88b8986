#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A new engine is a module, a line in the table and its words: nothing else has to name it.

Libraries: pytest.
"""

import io
import subprocess
import sys
from pathlib import Path

import program
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]

#: the program with one more engine, which ``auto`` prefers to all others
PROGRAM = f'''
import runpy, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests' / 'support')!r}]
from modules import engines, i18n
others = dict(engines.TABLE)
engines.TABLE.clear()
engines.TABLE.update(dawdle = ('stand_ins', 'Instant'), **others)
for language in i18n.LANGUAGES:
    i18n.words(language)['page'].update(dawdle = 'Dawdling', dawdle_what = 'It dawdles.')
runpy.run_path({str(ROOT / '__main__.py')!r}, run_name = '__main__')
'''


@pytest.fixture(scope = 'module')
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp('program') / 'program.py'
    path.write_text(PROGRAM)
    return path


def printed(script, *arguments):
    done = subprocess.run([sys.executable, script, *arguments],
                          capture_output = True,
                          text = True,
                          check = False,
                          env = {
                              'LANG': 'en_US.UTF-8',
                              'PATH': ''
                          })
    assert done.returncode == 0, done.stderr
    return done.stdout


def served(script, tmp_path, ini):
    return program.started(tmp_path, ini, ['--output-temp'], script = script)


def test_help_and_doctor_name_it(script):
    assert 'auto, dawdle, svd, camera' in ' '.join(printed(script, '--help').split())
    lines = [line.split() for line in printed(script, 'doctor').splitlines()]
    assert ['engine', 'dawdle', 'works'] in lines and ['engine', 'in', 'use', 'dawdle'] in lines


def test_health_the_page_and_the_form_know_it(script, tmp_path):
    with served(script, tmp_path, '') as (_process, port):
        program.ready(port)
        health = program.call(port, 'GET', '/health').json
        assert health['engine'] == 'dawdle' and health['engines']['dawdle'] is None
        page = program.call(port, 'GET', '/').body.decode()
        assert 'Dawdling' in page and 'It dawdles.' in page and "data-better='[]'" in page
        photo = io.BytesIO()
        Image.new('RGB', (64, 36)).save(photo, 'PNG')
        answer = program.generate(port, photo.getvalue(), [('engine', 'dawdle')])
        assert (answer.status, answer.headers['X-Engine']) == (200, 'dawdle')


def test_the_page_says_why_another_is_in_use(script, tmp_path):
    with served(script, tmp_path, '[ModelOptions]\nEngine = camera\n') as (_process, port):
        program.ready(port)
        page = program.call(port, 'GET', '/').body.decode()
        assert 'data-better=\'["dawdle", "svd"]\'' in page
        assert '(Engine = camera)' in page and 'Engine = auto' in page
