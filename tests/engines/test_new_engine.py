#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A new engine is a folder, a line in the table and its words: nothing else has to name it.

Libraries: pytest.
"""

import io
import subprocess
import sys
from pathlib import Path

import program
import pytest
from PIL import Image

from modules.clips.provenance import read_settings

ROOT = Path(__file__).resolve().parents[2]

#: the folder of one more engine
FOLDER = {
    '__init__.py':
    '',
    'options.py':
    '''
from dataclasses import dataclass
from modules.option import number_parser, option

@dataclass(frozen = True)
class DawdleOptions:
    """What this engine alone takes."""

    slowness: int = option('Slowness', number_parser(int, 1, 9), 3)

SECTION = DawdleOptions
''',
    'engine.py':
    '''
import stand_ins
from dawdle.options import DawdleOptions
from modules.engines.common import are_never_coming

class Dawdle(stand_ins.Instant):
    def __init__(self, configuration, are_libraries_coming = are_never_coming):
        super().__init__(configuration, are_libraries_coming)
        self.own = next(each for each in configuration.engines if isinstance(each, DawdleOptions))

    def settings(self, request):
        return {**super().settings(request), 'Slowness': self.own.slowness}
'''
}

#: what adds it, before all others, so that ``auto`` prefers it
ADD = f'''
import runpy, sys
sys.path[:0] = [sys.path[0], {str(ROOT)!r}, {str(ROOT / 'tests' / 'support')!r}]
from modules import engines, i18n
others = dict(engines.TABLE)
engines.TABLE.clear()
engines.TABLE.update(dawdle = ('dawdle.engine', 'Dawdle'), **others)
for language in i18n.LANGUAGES:
    i18n.words(language)['page'].update(dawdle = 'Dawdling', dawdle_what = 'It dawdles.')
    i18n.words(language)['options'].update(Slowness = 'how slow it is')
'''
PROGRAM = ADD + f"runpy.run_path({str(ROOT / '__main__.py')!r}, run_name = '__main__')"
TABLES = ADD + """
from docs import tables
print(tables.render_ini(), tables.render('README.md'))
"""


@pytest.fixture(scope = 'module')
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp('program') / 'program.py'
    path.write_text(PROGRAM)
    path.with_name('tables.py').write_text(TABLES)
    path.with_name('dawdle').mkdir()
    for name, content in FOLDER.items():
        (path.parent / 'dawdle' / name).write_text(content)
    return path


def run(script, *arguments):
    return subprocess.run([sys.executable, script, *arguments],
                          capture_output = True,
                          text = True,
                          check = False,
                          env = {
                              'LANG': 'en_US.UTF-8',
                              'PATH': ''
                          })


def printed(script, *arguments):
    done = run(script, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def served(script, tmp_path, ini):
    return program.started(tmp_path, ini, ['--output-temp'], script = script)


def test_help_and_doctor_name_it(script):
    assert 'auto, dawdle, wan, svd, camera' in ' '.join(printed(script, '--help').split())
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
        assert 'data-better=\'["dawdle", "wan", "svd"]\'' in page
        assert '(Engine = camera)' in page and 'Engine = auto' in page


def test_its_options_have_a_section_of_their_own(script, tmp_path):
    documents = printed(script.with_name('tables.py'))
    assert '\n\n[DawdleOptions]\n# How slow it is.\nSlowness = 3\n' in documents
    assert '| | | **DawdleOptions** |\n| `Slowness` | 3 | how slow it is |\n' in documents
    ini, photo = tmp_path / 'a.ini', tmp_path / 'photo.png'
    Image.new('RGB', (64, 36)).save(photo)
    ini.write_text('[DawdleOptions]\nSlowness = 7\n')
    again = [photo, '--again', tmp_path / 'one.gif', '-o', tmp_path / 'two.gif']
    printed(script, 'animate', photo, '-o', tmp_path / 'one.gif', '--config', ini)
    printed(script, 'animate', *again)
    for name in ('one.gif', 'two.gif'):
        options = read_settings(tmp_path / name)['options']
        assert options['DawdleOptions'] == {'Slowness': 7}
        assert 'Slowness' not in options['ModelOptions']
    ini.write_text('[DawdleOptions]\nSlowness = 70\n')
    done = run(script, 'doctor', '--config', ini)
    assert done.returncode and 'Slowness = 70' in done.stderr and '1 to 9' in done.stderr
