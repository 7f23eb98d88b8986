#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A machine without the libraries that reach a broker: it does without them, until a broker is set.

Libraries: Pillow, pytest.
"""

import os
import subprocess
import sys

import pytest
from crashing import photo
from repository import ROOT

#: the program, where neither library is installed
CODE = '''
import importlib.metadata, runpy, sys
sys.path.insert(0, '.')
found = importlib.metadata.version
def version(name):
    if name in ('dramatiq', 'redis'):
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)
importlib.metadata.version = version
sys.modules.update(dict.fromkeys(('dramatiq', 'redis')))
sys.exit(runpy.run_path('__main__.py')['main']())
'''


def run(*arguments, language = 'en_US.UTF-8'):
    return subprocess.run([sys.executable, '-c', CODE, *map(str, arguments)],
                          cwd = ROOT,
                          env = {
                              **os.environ, 'LANG': language,
                              'LC_ALL': language
                          },
                          capture_output = True,
                          encoding = 'utf-8',
                          timeout = 120,
                          check = False)


def options(folder, broker):
    ini = folder / 'here.ini'
    ini.write_text(
        f'[ModelOptions]\nEngine = camera\nImagePromptWidth = 128\nImagePromptHeight = 64\n'
        f'Seconds = 1\nOutputFPS = 4\n[QueueOptions]\nBroker = {broker}\n')
    return ini


@pytest.mark.parametrize(('command', 'language', 'words'), [
    ('serve', 'en_US.UTF-8', 'the libraries that reach it are not installed'),
    ('worker', 'zh_CN.UTF-8', '还没有安装连接它所需的库'),
])
def test_a_broker_without_its_libraries_is_one_sentence(tmp_path, command, language, words):
    found = run(command, '--config', options(tmp_path, 'redis://localhost/0'), language = language)
    assert found.returncode == 1 and found.stdout == ''
    assert words in found.stderr and f'{ROOT / "requirements-fleet.txt"}' in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_doctor_tells_which_libraries_of_a_broker_are_missing(tmp_path):
    found = run('doctor', '--config', options(tmp_path, 'redis://localhost/0'))
    assert (found.returncode, found.stderr) == (0, '')
    rows = dict(line.split(maxsplit = 1) for line in found.stdout.splitlines())
    assert rows['dramatiq'] == rows['redis'] == 'not installed'


@pytest.mark.parametrize('broker', ['', 'redis://localhost/0'])
def test_one_machine_needs_none_of_them(tmp_path, broker):
    (tmp_path / 'a.png').write_bytes(photo())
    ini = options(tmp_path, broker)
    found = run('animate', tmp_path / 'a.png', '-o', tmp_path / 'a.gif', '--config', ini)
    assert found.returncode == 0, found.stderr
    assert (tmp_path / 'a.gif').is_file()
