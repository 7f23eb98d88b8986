#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Bringing libraries while the program runs, with the real pip and a library made here.

Libraries: pytest.
"""

import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from modules.environment import interpreter

ROOT = Path(__file__).resolve().parent.parent

INSTALL = '''
import sys, time, importlib.util
sys.path.insert(0, {root!r})
from pathlib import Path
from modules.configuration import Configuration, StoreOptions
from modules.libraries import LibraryFetcher
fetcher = LibraryFetcher(
    Configuration(store = StoreOptions(venv_home = Path(sys.prefix))), Path({requirements!r}))
print(fetcher.state().state)
fetcher.start(then = lambda: print('then'))
print(fetcher.state().state)
while fetcher.state().state == 'running':
    time.sleep(0.05)
time.sleep(0.2)
print(fetcher.state().state, fetcher.state().error and fetcher.state().error.key)
print(importlib.util.find_spec('a_small_library') is not None)
'''


@pytest.fixture(scope = 'module')
def environment(tmp_path_factory):
    """A virtual environment of its own, with pip."""
    home = tmp_path_factory.mktemp('venv') / '环境'
    subprocess.run([sys.executable, '-m', 'venv', str(home)], check = True)
    return home


@pytest.fixture
def wheels(tmp_path):
    """A folder of one wheel, made by hand."""
    folder = tmp_path / 'wheels'
    folder.mkdir()
    info = 'a_small_library-1.0.dist-info'
    with zipfile.ZipFile(folder / 'a_small_library-1.0-py3-none-any.whl', 'w') as wheel:
        wheel.writestr('a_small_library.py', 'ANSWER = 42\n')
        wheel.writestr(f'{info}/METADATA',
                       'Metadata-Version: 2.1\nName: a-small-library\nVersion: 1.0\n')
        wheel.writestr(
            f'{info}/WHEEL',
            'Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        wheel.writestr(f'{info}/RECORD', '')
    return folder


def install(environment, tmp_path, wheels, name):
    requirements = tmp_path / 'requirements.txt'
    requirements.write_text(f'--no-index\n--find-links {wheels.as_uri()}\n{name}\n')
    code = INSTALL.format(root = str(ROOT), requirements = str(requirements))
    python = interpreter(environment)
    found = subprocess.run([str(python), '-c', code],
                           capture_output = True,
                           encoding = 'utf-8',
                           timeout = 120,
                           check = True)
    return found.stdout.split('\n'), found.stderr


def test_libraries_arrive_while_the_program_runs(environment, tmp_path, wheels):
    import json

    from modules.environment import NOTE, Note, write_note
    write_note(environment, Note('3', {'requirements-core.txt': 'core'}))
    words, _log = install(environment, tmp_path, wheels, 'a-small-library')
    assert words[:4] == ['idle', 'running', 'then', 'done None']
    assert words[4] == 'True'
    remembered = json.loads((environment / NOTE).read_text())['installed']
    assert set(remembered) == {'requirements-core.txt', 'requirements.txt'}


def test_a_failure_is_told(environment, tmp_path, wheels):
    words, log = install(environment, tmp_path, wheels, 'a-library-that-is-nowhere')
    assert words[2] == 'failed libraries.pip_failed'
    assert 'a-library-that-is-nowhere' in log


@pytest.mark.parametrize(('line', 'expected'), [
    ('Downloading torch-2.13.0-cp311-none-any.whl (799.0 MB)',
     ('torch-2.13.0-cp311-none-any.whl', 0, 799e6)),
    ('Downloading https://a.example/b/torch.whl (1.5 kB)', ('torch.whl', 0, 1500)),
    ('Progress 5 of 50', ('', 5, 50)),
    ('Collecting torch', ('', 0, 0)),
])
def test_progress_is_read_from_what_pip_says(line, expected):
    from modules.configuration import Configuration
    from modules.libraries import LibraryFetcher
    fetcher = LibraryFetcher(Configuration())
    fetcher._hear(line)
    state = fetcher.state()
    assert (state.file, state.bytes_done, state.bytes_total) == expected


def test_closing_ends_pip(tmp_path, monkeypatch):
    from modules.configuration import Configuration
    from modules.libraries import LibraryFetcher
    requirements = tmp_path / 'requirements.txt'
    # an address nobody answers at, so that pip waits
    requirements.write_text('--index-url http://192.0.2.1/simple\nanything\n')
    fetcher = LibraryFetcher(Configuration(), requirements)
    fetcher.start()
    time.sleep(1.5)
    fetcher.close()
    patience = time.monotonic() + 10
    while fetcher._pip.poll() is None and time.monotonic() < patience:
        time.sleep(0.05)
    assert fetcher._pip.poll() is not None
