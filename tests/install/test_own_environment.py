#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The program's own environment, whatever the person's Python and pip are told: what arrives in it, what is noted of it,
and how it is mended. The real pip, and libraries made here.

Libraries: pytest.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import small_program
from small_program import parse_output

from modules.configuration import InstallationOptions
from modules.install import environment, inventory, pip_settings, repairs
from modules.install.environment import Failure, Note

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope = 'module')
def installed(tmp_path_factory, bare_environment):
    """A program that has been started, with a library in its environment."""
    program = small_program.build(tmp_path_factory.mktemp('installed') / '程 序')
    small_program.copy_environment(bare_environment, program.home / '.venv')
    program.require('tiny>=1')
    program.set_options('')
    assert program.start('--yes').returncode == 0
    return program


@pytest.fixture
def program(installed, tmp_path):
    """A copy of it; a virtual environment may be moved."""
    return small_program.copy(installed.home, tmp_path / 'copy')


def site_packages(program):
    return small_program.find_libraries(program.home / '.venv')


def note_of(program):
    return json.loads((program.home / '.venv' / environment.NOTE).read_text())


def is_quiet(program, **variables):
    """Whether a start installs nothing and says nothing; pip would find nothing."""
    done = start(program, PIP_FIND_LINKS = '/nowhere', **variables)
    return done.returncode == 0 and done.stderr == '' and len(done.stdout.splitlines()) == 1


def start(program, **variables):
    """As a person starts it, by the script, which finds the Python of the tests."""
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    return subprocess.run([program.home / 'START'],
                          env = program.variables(PATH = path, **variables),
                          stdin = subprocess.DEVNULL,
                          capture_output = True,
                          encoding = 'utf-8',
                          check = False,
                          timeout = 120)


# What the person's Python and pip are told


def led_astray(folder):
    """What a PYTHONPATH leads to: a module of the standard library's name, and a library of the program's."""
    folder.mkdir()
    (folder / 'ast.py').write_text('raise SystemExit("led astray")\n')
    (folder / 'tiny.py').write_text('')
    return str(folder)


@pytest.mark.parametrize(
    'variables', [
        ('PIP_TARGET', 'PYTHONPATH', 'PIP_NO_DEPS'),
        ('PIP_PREFIX', 'PYTHONHOME', 'PIP_PYTHON'),
        ('PIP_ROOT', 'PIP_USER', 'PYTHONPLATLIBDIR'),
    ],
    ids = '-'.join)
def test_variables_that_send_files_elsewhere_send_none(program, tmp_path, variables):
    small_program.make_wheel(program.home / 'wheels', 'large', requires = 'torch')
    program.require('tiny>=1\nlarge')
    values = {
        'PYTHONPATH': led_astray(tmp_path / 'astray'),
        **dict.fromkeys(('PIP_USER', 'PIP_NO_DEPS', 'PIP_DRY_RUN'), '1'),
        'PIP_PYTHON': sys.executable,
    }
    given = {name: values.get(name, str(tmp_path / name)) for name in variables}
    before = set(tmp_path.iterdir())
    done = start(program, **given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert parse_output(done.stdout)['prefix'] == str(program.home / '.venv')
    # what the library needs came as well, and nothing lies anywhere else
    assert all((site_packages(program) / f'{name}.py').is_file() for name in ('large', 'torch'))
    assert set(tmp_path.iterdir()) == before
    # every later start knows that all is there
    assert is_quiet(program, **given)


CONFIGURATION = '''
[global]
disable-pip-version-check = true
no-index = true
timeout = 7
find-links =
    {nowhere}
    {wheels}
target = {folder}/target
[install]
{key} = {value}
[uninstall]
yes = true
'''


@pytest.mark.parametrize('key', ['target', 'user'])
def test_a_file_that_sends_files_elsewhere_sends_none_and_its_mirrors_are_used(
        program, tmp_path, key):
    program.require('tiny>=1\ntorch')
    config = tmp_path / 'pip.conf'
    value = 'true' if key == 'user' else str(tmp_path / 'elsewhere')
    config.write_text(
        CONFIGURATION.format(
            wheels = (program.home / 'wheels').as_uri(),
            nowhere = (tmp_path / 'nowhere').as_uri(),
            folder = tmp_path,
            key = key,
            value = value))
    program.environment = {'PIP_CONFIG_FILE': str(config)}
    # nothing but the file says where libraries are
    variables = {
        name: value
        for name, value in program.variables().items()
        if name not in ('PIP_NO_INDEX', 'PIP_FIND_LINKS')
    }
    done = subprocess.run(
        program.command(),
        env = variables,
        capture_output = True,
        encoding = 'utf-8',
        check = False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (site_packages(program) / 'torch.py').is_file()
    assert not (tmp_path / 'target').exists() and not (tmp_path / 'elsewhere').exists()


@pytest.fixture
def bare(monkeypatch):
    """Nothing set for pip."""
    for name in list(os.environ):
        if name.upper().startswith('PIP_') or name in pip_settings.PYTHON_VARIABLES:
            monkeypatch.delenv(name)
    return monkeypatch


def test_everything_else_that_pip_is_told_stays(bare, tmp_path):
    kept = {
        'PIP_INDEX_URL': 'https://mirror.example/simple',
        'PIP_CERT': '/a/certificate.pem',
        'HTTPS_PROXY': 'http://proxy.example:8080',
        'PIP_TIMEOUT': '99',
        'PYTHONUTF8': '1',
    }
    config = tmp_path / 'pip.conf'
    config.write_text('[global]\ntimeout = 5\nproxy = http://other.example\nTrusted_Host = a\n b\n'
                      '[install]\nindex-url = https://file.example\n')
    for name, value in {**kept, 'PIP_CONFIG_FILE': str(config), 'Pip_Target': '/x'}.items():
        bare.setenv(name, value)
    found = pip_settings.pip_variables(Path(sys.executable))
    assert kept.items() <= found.items() and 'Pip_Target' not in found
    # a file that sends nothing elsewhere is pip's to read
    assert found['PIP_CONFIG_FILE'] == str(config) and 'PIP_PROXY' not in found
    config.write_text(config.read_text() + 'prefix = /y\n')
    found = pip_settings.pip_variables(Path(sys.executable))
    assert kept.items() <= found.items()
    assert found['PIP_CONFIG_FILE'] == os.devnull and 'PIP_PREFIX' not in found
    assert found['PIP_PROXY'] == 'http://other.example'
    assert found['PIP_TRUSTED_HOST'].split() == ['a', 'b']
    # pip itself understands them
    listed = subprocess.run([sys.executable, '-m', 'pip', 'config', 'list'],
                            env = found,
                            capture_output = True,
                            encoding = 'utf-8',
                            check = True).stdout
    assert "index-url='https://mirror.example/simple'" in listed and 'prefix' not in listed


def test_a_file_that_pip_cannot_read_is_left_to_pip(bare, tmp_path):
    (tmp_path / 'pip.conf').write_text('no section\n')
    bare.setenv('PIP_CONFIG_FILE', str(tmp_path / 'pip.conf'))
    found = pip_settings.pip_variables(Path(sys.executable))
    assert found['PIP_CONFIG_FILE'] == str(tmp_path / 'pip.conf')


def test_somebody_elses_python_finds_its_libraries_where_it_always_does(tmp_path):
    program = small_program.build(tmp_path / 'program')
    program.require('tiny')
    target = tmp_path / 'libraries'
    with_tiny = [sys.executable, '-m', 'pip', 'install', '--target', str(target), 'tiny']
    subprocess.run(with_tiny, env = program.variables(), capture_output = True, check = True)
    (program.home / '__main__.py').write_text('import tiny; print("found")')
    done = start(program, PYTHONPATH = str(target))
    assert done.stdout == 'found\n' and done.stderr == ''


# What is noted

#: says that it installs everything, and installs nothing
LYING_PIP = 'import sys; print("Successfully installed everything" if "install" in sys.argv else "")\n'


def test_nothing_is_noted_on_pips_word_alone(program):
    program.require('tiny>=1\ntorch')
    pip = site_packages(program) / 'pip'
    honest = pip.readlink()
    pip.unlink()
    pip.mkdir()
    for part in honest.iterdir():
        (pip / part.name).symlink_to(part)
    (pip / '__main__.py').unlink()
    (pip / '__main__.py').write_text(LYING_PIP)
    for _ in range(2):
        done = program.start()
        assert done.returncode == 1 and 'Successfully installed everything' in done.stdout
        assert 'does not find: torch' in done.stderr and 'Traceback' not in done.stderr
    shutil.rmtree(pip)
    pip.symlink_to(honest)
    assert 'Successfully installed torch-1' in program.start().stdout


def test_a_note_that_pips_word_alone_made_is_not_believed(program):
    """As version 0.1.0 left it behind when PIP_TARGET was set."""
    note = note_of(program)
    assert note.pop('libraries') and not note.pop('torch_index')
    (program.home / '.venv' / environment.NOTE).write_text(json.dumps(note))
    assert is_quiet(program)
    (site_packages(program) / 'tiny.py').unlink()
    shutil.rmtree(site_packages(program) / 'tiny-1.dist-info')
    assert 'Successfully installed tiny-1' in program.start().stdout
    assert is_quiet(program)


def test_a_note_of_what_was_found_is_left(program):
    assert {'pip', 'tiny'} <= set(note_of(program)['libraries'])


def test_a_requirement_for_other_pythons_need_not_be_there(tmp_path):
    requirements = tmp_path / 'some.txt'
    requirements.write_text('Pytest>=1  # why; and how\nno-such-thing; python_version < "3"\n')
    assert repairs.require_libraries(Path(sys.executable), requirements)['pytest']
    requirements.write_text('Pytest\nNo_Such.Thing>=1\n')
    with pytest.raises(Failure) as refusal:
        repairs.require_libraries(Path(sys.executable), requirements)
    assert refusal.value.words.values['names'] == 'no-such-thing'


# What is mended


def remove_module(place):
    (place / 'tiny.py').unlink()


def remove_record(place):
    shutil.rmtree(place / 'tiny-1.dist-info')


def remove_both(place):
    remove_module(place)
    remove_record(place)


@pytest.mark.parametrize('damage', [remove_module, remove_record, remove_both])
def test_a_library_that_has_gone_is_installed_again(program, damage):
    damage(site_packages(program))
    done = program.start()
    assert 'missing or damaged' in done.stderr and done.stderr.count('tiny') >= 1
    assert 'Successfully installed tiny-1' in done.stdout and parse_output(done.stdout)
    assert (site_packages(program) / 'tiny.py').is_file()
    assert is_quiet(program)


def test_what_a_library_needs_is_installed_again_as_well(program):
    small_program.make_wheel(program.home / 'wheels', 'large', requires = 'torch')
    program.require('tiny>=1\nlarge')
    program.start()
    remove = [
        environment.find_interpreter(program.home / '.venv'), '-m', 'pip', 'uninstall', '-y',
        'torch'
    ]
    subprocess.run(remove, capture_output = True, check = True)
    assert 'Successfully installed torch-1' in program.start().stdout
    assert is_quiet(program)


def test_an_environment_without_its_libraries_is_made_again(program):
    shutil.rmtree(site_packages(program))
    done = program.start()
    assert 'making it again' in done.stderr and 'Successfully installed tiny-1' in done.stdout
    assert is_quiet(program)


def test_stable_video_stays_wanted_when_something_has_gone(program):
    program.require('tiny>=1', svd = 'torch')
    assert program.start('animate', '--svd').returncode == 0
    remove_module(site_packages(program))
    done = program.start('animate', PATH = '/nowhere')
    assert 'Successfully installed tiny-1' in done.stdout
    assert 'requirements.txt' in note_of(program)['installed']
    (site_packages(program) / 'torch.py').unlink()
    assert parse_output(
        program.start(PATH = '/nowhere').stdout)['arguments'] == ['--fetch-libraries']


def test_an_inventory_tells_what_is_whole(program):
    python = environment.find_interpreter(program.home / '.venv')
    assert inventory.take(python).whole['tiny'] == '1' and not inventory.take(python).broken
    remove_module(site_packages(program))
    assert 'tiny' not in inventory.take(python).whole
    assert inventory.take(python).broken == ('tiny', )
    assert inventory.take(program.home / 'nowhere') is None


def test_a_library_described_in_another_encoding_hides_no_other_one(program):
    """Nothing would be found then, and the environment made again at every start."""
    described = site_packages(program) / 'old-1.dist-info'
    described.mkdir()
    (described / 'METADATA').write_bytes('Name: old\nAuthor: José\n'.encode('latin-1'))
    assert inventory.take(environment.find_interpreter(program.home / '.venv')).whole['tiny'] == '1'


def test_this_environment_is_whole():
    found = inventory.take(Path(sys.executable))
    assert not found.broken and {'torch', 'pillow-heif', 'flask'} <= found.whole.keys()


# Where no environment can be


@pytest.mark.skipif(os.pathsep != ':', reason = 'a drive has one')
@pytest.mark.parametrize('language', ['en', 'zh'])
def test_a_path_with_a_colon_gets_the_reason(tmp_path, bare_environment, language):
    program = small_program.build(tmp_path / 'C:turn')
    program.set_options('')
    done = program.start('--yes', LC_ALL = f'{language}.UTF-8')
    assert done.returncode == 1 and 'Traceback' not in done.stderr and done.stdout == ''
    assert str(program.home / '.venv') in done.stderr and 'VenvHome' in done.stderr
    assert ('separates one folder from the next' if language == 'en' else '分隔符') in done.stderr
    # another place for the environment is the way out
    small_program.copy_environment(bare_environment, tmp_path / 'venv')
    program.set_options(f'[StoreOptions]\nVenvHome = {tmp_path / "venv"}\n')
    assert parse_output(program.start('--yes').stdout)['prefix'] == str(tmp_path / 'venv')


def test_an_environment_in_such_a_path_that_is_there_is_used(tmp_path, bare_environment):
    """A folder may have been moved, and older Pythons make it."""
    small_program.copy_environment(bare_environment, tmp_path / 'a:b')
    assert environment.prepare(tmp_path / 'a:b', (3, 10),
                               print) == environment.read_note(tmp_path / 'a:b')


def test_the_options_of_an_installation_are_those_it_was_made_from(tmp_path, installed):
    copy = shutil.copytree(installed.home / '.venv', tmp_path / 'venv', symlinks = True)
    (tmp_path / 'some.txt').write_text('tiny\n')
    note = repairs.remember(copy, Note('3', {'x': 'y'}), tmp_path / 'some.txt',
                            InstallationOptions())
    assert set(note.installed) == {'x', 'some.txt'} and note.torch_index == ''
    assert environment.read_note(copy) == note
