#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Bringing libraries while the program runs, with the real pip and a library made here.

Libraries: pytest.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import small_program
import stand_ins

from modules.install.environment import find_interpreter

ROOT = Path(__file__).resolve().parents[2]

INSTALL = '''
import sys, time, importlib.util
sys.path.insert(0, {root!r})
from pathlib import Path
from modules.configuration import Configuration, InstallationOptions, StoreOptions
from modules.install.background import LibraryFetcher
fetcher = LibraryFetcher(
    Configuration(store = StoreOptions(venv_home = Path(sys.prefix)),
                  installation = InstallationOptions(*{indexes!r})), Path({requirements!r}))
print(fetcher.state().state)
seen = set()
fetcher.start(then = lambda: print('then'))
print(fetcher.state().state)
while fetcher.state().state == 'running':
    seen.add((fetcher.state().file, fetcher.state().bytes_done, fetcher.state().bytes_total))
    time.sleep(0.02)
time.sleep(0.2)
print(fetcher.state().state, fetcher.state().error and fetcher.state().error.key)
print(importlib.util.find_spec('a_small_library') is not None)
print(('big.whl', 5, 10) in seen)
'''


@pytest.fixture(scope = 'module')
def environment(tmp_path_factory, bare_environment):
    """A virtual environment of its own, with pip."""
    return small_program.copy_environment(bare_environment, tmp_path_factory.mktemp('venv') / '环境')


@pytest.fixture
def wheels(tmp_path):
    """A folder of one wheel, made by hand."""
    folder = tmp_path / 'wheels'
    folder.mkdir()
    write_wheel(folder, 'a_small_library', '1.0', {'a_small_library.py': 'ANSWER = 42\n'})
    return folder


def write_wheel(folder, name, version, files):
    info = f'{name}-{version}.dist-info'
    with zipfile.ZipFile(folder / f'{name}-{version}-py3-none-any.whl', 'w') as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
        wheel.writestr(f'{info}/METADATA',
                       f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
        wheel.writestr(
            f'{info}/WHEEL',
            'Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        wheel.writestr(f'{info}/RECORD', '')


def install(environment, tmp_path, wheels, name):
    words = f'--no-index\n--find-links {wheels.as_uri()}\n{name}\n'
    return run(environment, tmp_path, words, {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': str(wheels)})


def run_with(python, tmp_path, words, variables, indexes = ()):
    """What the program prints that installs a requirements file of these words, and its log."""
    requirements = tmp_path / 'requirements.txt'
    requirements.write_text(words)
    code = INSTALL.format(root = str(ROOT), requirements = str(requirements), indexes = indexes)
    found = subprocess.run([str(python), '-c', code],
                           capture_output = True,
                           encoding = 'utf-8',
                           env = {
                               **os.environ,
                               **variables
                           },
                           timeout = 120,
                           check = True)
    return found.stdout.split('\n'), found.stderr


def run(environment, *rest):
    """The same, by the Python of an environment."""
    return run_with(find_interpreter(environment), *rest)


def test_libraries_arrive_while_the_program_runs(environment, tmp_path, wheels):
    import json

    from modules.install.environment import NOTE, Note, write_note
    write_note(environment, Note('3', {'requirements-core.txt': 'core'}))
    words, _log = install(environment, tmp_path, wheels, 'a-small-library')
    assert words[:4] == ['idle', 'running', 'then', 'done None']
    assert words[4] == 'True'
    remembered = json.loads((environment / NOTE).read_text())['installed']
    assert set(remembered) == {'requirements-core.txt', 'requirements.txt'}


#: tells its progress as a newer pip does, and installs nothing but the name of what it should
TELLING_PIP = """
import pathlib, sys, time
if '--progress-bar=raw' in sys.argv:
    print('Downloading big.whl (10 bytes)', 'Progress 5 of 10', sep = '\\n', flush = True)
    made = pathlib.Path(__file__).parent.with_name('anything-1.dist-info')
    made.mkdir()
    (made / 'METADATA').write_text('Name: anything\\nVersion: 1\\n')
    time.sleep(0.5)
"""


@pytest.fixture
def old(environment, tmp_path):
    """An environment whose pip, of whatever version, says that it is an old one."""
    home = bare(tmp_path)
    packages, others = (next(each.rglob('site-packages')) for each in (home, environment))
    for part in others.glob('pip*'):
        shutil.copytree(part, packages / part.name, dirs_exist_ok = True)
    metadata = next(packages.glob('pip-*.dist-info/METADATA'))
    words = re.sub(r'\nVersion: .*', '\nVersion: 23.0', metadata.read_text('utf-8'), count = 1)
    metadata.write_text(words, 'utf-8')
    return home


def bare(tmp_path):
    """An environment without pip."""
    home = tmp_path / 'bare'
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(home)], check = True)
    return home


def test_a_pip_that_cannot_tell_how_far_it_is_is_renewed_first(old, tmp_path, wheels):
    write_wheel(wheels, 'pip', '99.0', {'pip/__init__.py': '', 'pip/__main__.py': TELLING_PIP})
    words, _log = install(old, tmp_path, wheels, 'anything')
    assert words[2:6] == ['then', 'done None', 'False', 'True']


def test_without_a_newer_pip_the_old_one_does_it(old, tmp_path, wheels):
    words, log = install(old, tmp_path, wheels, 'a-small-library')
    assert words[2:6] == ['then', 'done None', 'True', 'False'] and 'could not be renewed' in log


def test_what_pip_says_it_installed_and_nobody_finds_is_told(old, tmp_path, wheels):
    """Whatever sent it elsewhere, the next start must not believe that it is there."""
    from modules.install.environment import Note, read_note, write_note
    write_note(old, Note('3', {'requirements-core.txt': 'core'}))
    write_wheel(wheels, 'pip', '99.0', {'pip/__init__.py': '', 'pip/__main__.py': ''})
    words, _log = install(old, tmp_path, wheels, 'anything')
    assert words[2] == 'failed launch.not_found'
    assert read_note(old).installed == {'requirements-core.txt': 'core'}


def test_a_python_of_somebody_else_may_have_its_libraries_elsewhere(environment, tmp_path, wheels):
    """In a folder of the person's own, for instance, which Python is told of by a variable."""
    pip, elsewhere = next(environment.rglob('site-packages')), tmp_path / 'elsewhere'
    places = {
        'PIP_NO_INDEX': '1',
        'PIP_TARGET': str(elsewhere),
        'PYTHONPATH': os.pathsep.join(map(str, (pip, elsewhere)))
    }
    words = f'--find-links {wheels.as_uri()}\na-small-library\n'
    words, log = run_with(Path(sys._base_executable), tmp_path, words, places)
    assert words[2:5] == ['then', 'done None', 'True'], log


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
    from modules.install.background import LibraryFetcher
    fetcher = LibraryFetcher(Configuration())
    fetcher._pip._read_line(line)
    state = fetcher.state()
    assert (state.file, state.bytes_done, state.bytes_total) == expected


def test_closing_ends_pip(tmp_path, monkeypatch):
    from modules.configuration import Configuration
    from modules.install.background import LibraryFetcher
    requirements = tmp_path / 'requirements.txt'
    # an address nobody answers at, so that pip waits
    requirements.write_text('--index-url http://192.0.2.1/simple\nanything\n')
    fetcher = LibraryFetcher(Configuration(), requirements)
    fetcher.start()
    patience = time.monotonic() + 60
    while fetcher._pip._process is None and time.monotonic() < patience:
        time.sleep(0.05)
    fetcher.close()
    patience = time.monotonic() + 10
    while fetcher._pip._process.poll() is None and time.monotonic() < patience:
        time.sleep(0.05)
    assert fetcher._pip._process.poll() is not None


def write_index(folder, name, version):
    """A package index of one project."""
    (folder / name).mkdir(parents = True)
    write_wheel(folder / name, name, version, {f'{name}.py': ''})
    wheel = next((folder / name).glob('*.whl')).name
    (folder / name / 'index.html').write_text(f'<a href="{wheel}">{wheel}</a>')
    return folder.as_uri()


def test_torch_comes_from_its_own_index_though_another_has_a_newer_one(environment, tmp_path):
    """Among several indexes pip takes the newest; cards that need an older build would not be seen."""
    usual = write_index(tmp_path / 'usual', 'torch', '2.9.0')
    write_index(tmp_path / 'usual', 'another', '1.0')
    own = write_index(tmp_path / 'own', 'torch', '2.7.1+cu118')
    variables = {'PIP_CONFIG_FILE': os.devnull, 'PIP_FIND_LINKS': '', 'PIP_CONSTRAINT': ''}
    # the usual build is there from before
    python = str(find_interpreter(environment))
    command = [python, '-m', 'pip', 'install', '--index-url', usual, 'torch']
    subprocess.run(command, env = {**os.environ, **variables}, check = True)
    words, log = run(environment, tmp_path, 'torch>=2.6,<=2.13 # why\nanother\n', variables,
                     (own, usual))
    assert words[2:4] == ['then', 'done None'], log
    code = 'from importlib.metadata import version; print(version("torch"), version("another"))'
    found = subprocess.run([python, '-c', code], capture_output = True, text = True, check = True)
    assert found.stdout.split() == ['2.7.1+cu118', '1.0']


def test_a_python_without_pip_is_told_and_nobody_waits(tmp_path):
    words, _log = install(bare(tmp_path), tmp_path, tmp_path, 'anything')
    assert words[2] == 'failed libraries.pip_failed'


def test_an_engine_waits_for_libraries_that_are_being_installed():
    """A library is found as soon as a part of it is there; importing that would break it until the next start."""
    from modules import errors
    from modules.configuration import Configuration
    from modules.engines.registry import Engines
    coming = [True, True]
    table = stand_ins.table(svd = 'NeedsLibraries', camera = 'Instant')
    engines = Engines(Configuration(), table, lambda: bool(coming))
    assert engines.reasons()['svd'].key == 'engines.libraries_coming'
    assert engines.choose('auto') == 'camera'
    with pytest.raises(errors.EngineUnavailable):
        engines.choose('svd')
    # a job of the last run asks for it all the same
    assert engines.get('svd', coming.pop).is_loaded and not coming
    coming.append(True)
    assert engines.choose('auto') == 'svd', 'one that is loaded is not disturbed'


def test_a_job_that_waits_for_libraries_can_be_cancelled():
    from modules import errors
    from modules.configuration import Configuration
    from modules.engines.registry import Engines

    def stop():
        raise errors.Cancelled

    engines = Engines(Configuration(), stand_ins.table(svd = 'NeedsLibraries'), lambda: True)
    with pytest.raises(errors.Cancelled):
        engines.get('svd', stop)
