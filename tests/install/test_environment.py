#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The virtual environment: made, kept, made again, and never at the cost of somebody's files.

Libraries: pytest.
"""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
import small_program

from modules.install import environment
from modules.install.environment import Failure, Note

ROOT = Path(__file__).resolve().parents[2]
THIS = '{}.{}'.format(*sys.version_info[:2])


@pytest.fixture
def home(bare_environment, tmp_path):
    """An environment to break."""
    said.clear()
    return small_program.copy_environment(bare_environment, tmp_path / 'venv')


said = []


@pytest.fixture
def lent_pip(bare_environment, monkeypatch):
    """What is made is made by Python, but for pip, which takes seconds to unpack and lies in the other environment."""

    def run(command, variables):
        status = real_run([*command, '--without-pip'], variables)
        libraries = small_program.find_libraries(Path(command[-1]))
        assert not list(libraries.glob('pip*'))
        for part in small_program.find_libraries(bare_environment).glob('pip*'):
            (libraries / part.name).symlink_to(part)
        return status

    real_run = environment.run
    monkeypatch.setattr(environment, 'run', run)


def prefix_of(home):
    command = [environment.find_interpreter(home), '-c', 'import pip, sys; print(sys.prefix)']
    return subprocess.run(command, capture_output = True, text = True, check = True).stdout.strip()


def test_makes_an_environment_with_pip(bare_environment):
    assert prefix_of(bare_environment) == str(bare_environment)
    assert environment.read_note(bare_environment) == Note(THIS)


def test_leaves_a_good_environment_alone_even_when_it_was_moved(home):
    (home / 'mine').touch()
    environment.write_note(home, Note(THIS, {'a': 'b'}))
    assert environment.prepare(home, (3, 10), said.append) == Note(THIS, {'a': 'b'})
    assert not said and (home / 'mine').exists()
    assert prefix_of(home) == str(home)


def test_takes_over_an_environment_somebody_else_made(home):
    (home / environment.NOTE).unlink()
    (home / 'mine').touch()
    assert environment.prepare(home, (3, 10), said.append) == Note(THIS)
    assert not said and (home / 'mine').exists()


def test_makes_a_half_made_environment_again(home):
    (home / environment.NOTE).unlink()
    (small_program.find_libraries(home) / 'pip').unlink()
    environment.prepare(home, (3, 10), said.append)
    assert said[0].key == 'launch.venv_again' and prefix_of(home) == str(home)


def test_makes_an_environment_again_when_its_python_has_gone(home, lent_pip):
    (home / 'bin' / 'python').unlink()
    (home / 'bin' / 'python').symlink_to('/nowhere/python3')
    environment.prepare(home, (3, 10), said.append)
    assert said[0].key == 'launch.venv_again' and prefix_of(home) == str(home)


def test_makes_an_environment_again_when_its_python_became_another(home, lent_pip):
    environment.write_note(home, Note('3.9', {'requirements-core.txt': 'x'}))
    assert environment.prepare(home, (3, 10), said.append) == Note(THIS)
    assert said[0].key == 'launch.venv_again'


def test_makes_an_environment_again_when_its_python_is_too_old(home):
    assert environment.read_version(environment.find_interpreter(home), (9, 0)) == ''


@pytest.mark.parametrize('damage', ['', '{"python": "3.11"', '[]', '{"colour": "red"}'])
def test_a_damaged_note_counts_as_none(home, damage):
    (home / environment.NOTE).write_text(damage)
    assert environment.read_note(home) is None


@pytest.mark.parametrize('python', [None, 'bin/python'])
def test_never_empties_a_folder_that_is_no_environment(tmp_path, python):
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'letter.txt').touch()
    if python:
        (tmp_path / python).touch()
    with pytest.raises(Failure) as refusal:
        environment.prepare(tmp_path, (3, 10), said.append)
    assert refusal.value.words.key == 'launch.venv_home_in_use'
    assert (tmp_path / 'letter.txt').exists()


def test_does_not_take_a_file_for_a_folder(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(Failure):
        environment.prepare(tmp_path / 'file', (3, 10), said.append)


def test_uses_the_empty_folders_of_an_interrupted_start(tmp_path, lent_pip):
    (tmp_path / 'bin').mkdir()
    assert environment.prepare(tmp_path, (3, 10), said.append) == Note(THIS)


def test_names_the_package_debian_lacks(tmp_path):
    script = 'import sys; sys.modules["ensurepip"] = None\n' \
             'from modules.install import environment\nfrom pathlib import Path\n' \
             'try: environment.prepare(Path(sys.argv[1]), (3, 10), print)\n' \
             'except environment.Failure as failure: print(failure.words.in_("en"))'
    done = subprocess.run([sys.executable, '-c', script, tmp_path / 'venv'],
                          cwd = ROOT,
                          capture_output = True,
                          text = True,
                          check = True)
    assert f'apt install python{THIS}-venv' in done.stdout


def test_says_where_no_environment_can_be_made(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(Failure) as refusal:
        environment.prepare(tmp_path / 'file' / 'venv', (3, 10), said.append)
    assert refusal.value.words.key == 'launch.venv_failed'


def test_gives_the_exit_code_of_a_command():
    assert environment.run([sys.executable, '-c', 'raise SystemExit(5)']) == 5


@pytest.mark.parametrize(('home', 'is_long'), [
    (r'C:\turn-live-photos\.venv', False),
    (r'C:\Users\Somebody\Downloads\turn-live-photos-0.1.0\.venv', False),
    (r'C:\Users\Somebody With A Name\OneDrive\Documents\Programs\turn-live-photos\.venv', True),
    ('D:\\' + '照片' * 30, False),
    ('D:\\' + '照片' * 33, True),
])
def test_folders_that_are_too_deep_for_windows_are_known(home, is_long):
    assert environment.is_long(home) == is_long
    # nowhere else is a path too long that soon
    assert not environment.is_too_deep(Path(home))


def test_pytorchs_deepest_file_is_no_deeper_than_thought():
    listed = importlib.metadata.files('torch')
    assert max(len(str(file))
               for file in listed if '..' not in file.parts) + len(r'Lib\site-packages' +
                                                                   '\\') <= environment.DEEPEST_FILE
