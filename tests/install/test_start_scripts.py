#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
START and START.bat: they find a Python and hand everything on. Judges: shellcheck, dash, busybox, bash, Wine.

Libraries: pytest.
"""

import contextlib
import os
import pty
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import small_program
from small_program import parse_output

ROOT = Path(__file__).resolve().parents[2]
NAMES = ('python3', 'python', 'python3.13', 'python3.12', 'python3.11', 'python3.10')
ARGUMENTS = [
    'animate', 'a b.jpg', '照片.jpg', '--seed=1=2', '"quoted"', "it's", '', '$HOME', '*', '\\'
]


def judge(*commands):
    """Left out where the judge is not installed."""
    there = all(shutil.which(command) for command in commands)
    return pytest.mark.skipif(not there, reason = f'needs {" ".join(commands)}')


SHELLS = [
    pytest.param(['dash'], marks = judge('dash')),
    pytest.param(['busybox', 'sh'], marks = judge('busybox')),
    pytest.param(['bash'], marks = judge('bash')),
    pytest.param(['bash', '--posix'], marks = judge('bash')),
]


@pytest.fixture
def program(tmp_path):
    """A program in a folder with spaces and Chinese letters, and an empty folder for Pythons."""
    (tmp_path / 'path').mkdir()
    return small_program.build(tmp_path / 'turn live 照片')


def stub(folder, name, script):
    """A command that is a shell script."""
    (folder / name).write_text(f'#!/bin/sh\n{script}\n')
    (folder / name).chmod(0o755)


def start(program, *arguments, shell = ('sh', ), path = None, **options):
    """Run START with only the stand-ins of the folder ``path`` on the PATH, and what dirname and readlink need."""
    bin_ = program.home.parent / 'path'
    for tool in ('dirname', 'readlink'):
        if not (bin_ / tool).exists():
            (bin_ / tool).symlink_to(shutil.which(tool))
    command = [shutil.which(shell[0]), *shell[1:], program.home / 'START', *arguments]
    return subprocess.run(
        command,
        env = program.variables(PATH = str(bin_)),
        stdin = subprocess.DEVNULL,
        capture_output = True,
        text = True,
        encoding = 'utf-8',
        check = False,
        timeout = 60,
        **options)


def real(program, name):
    """The Python of the tests under a name START looks for."""
    stub(program.home.parent / 'path', name, f'exec "{sys.executable}" "$@"')


# START


def test_start_can_be_run():
    assert os.access(ROOT / 'START', os.X_OK)
    assert b'\r' not in (ROOT / 'START').read_bytes()


@judge('shellcheck')
@pytest.mark.parametrize('path', ['START', '.ci/run'])
def test_scripts_please_shellcheck(path):
    done = subprocess.run(['shellcheck', ROOT / path],
                          capture_output = True,
                          text = True,
                          check = False)
    assert done.stdout == ''


@pytest.mark.parametrize('shell', SHELLS)
def test_start_passes_every_argument_as_it_is(program, shell):
    real(program, 'python3')
    assert parse_output(start(program, *ARGUMENTS, shell = shell).stdout)['arguments'] == ARGUMENTS


@pytest.mark.parametrize('shell', SHELLS)
def test_start_works_from_any_folder_and_ends_with_the_programs_code(program, shell, tmp_path):
    real(program, 'python3')
    program.environment['EXIT'] = '9'
    done = start(program, shell = shell, cwd = tmp_path)
    assert done.returncode == 9 and parse_output(done.stdout)['cwd'] == str(tmp_path)


def test_start_works_when_called_by_a_relative_name_and_through_a_link(program, tmp_path):
    real(program, 'python3')
    (tmp_path / 'link').symlink_to(program.home / 'START')
    for command, folder in (('./START', program.home), ('./link', tmp_path)):
        done = subprocess.run([command],
                              cwd = folder,
                              env = program.variables(),
                              stdin = subprocess.DEVNULL,
                              capture_output = True,
                              text = True,
                              check = False)
        assert parse_output(done.stdout)['arguments'] == []


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('shell', SHELLS[:2])
def test_start_finds_python_under_every_name(program, name, shell):
    real(program, name)
    assert start(program, shell = shell).returncode == 0


@pytest.mark.parametrize('script', [
    'exit 1', 'exit 9009', 'echo "Python was not found; run without arguments to install"; exit 1',
    'kill -9 $$'
])
def test_start_passes_over_what_only_looks_like_python(program, script):
    stub(program.home.parent / 'path', 'python3', script)
    real(program, 'python3.11')
    done = start(program)
    assert parse_output(done.stdout) and done.stderr == ''


@pytest.mark.parametrize('version, status', [((2, 7), 1), ((3, 9), 1), ((3, 10), 0), ((3, 14), 0)])
def test_start_passes_over_a_python_that_is_too_old(program, version, status):
    pretend = f'import sys; sys.version_info = {version}; exec(sys.argv[1])'
    stub(
        program.home.parent / 'path', 'python3',
        f'[ "$2" = -c ] || exec "{sys.executable}" "$@"\nexec "{sys.executable}" -c "{pretend}" "$3"'
    )
    assert start(program).returncode == status


@pytest.mark.parametrize('shell', SHELLS)
def test_start_says_in_both_languages_that_there_is_no_python(program, shell):
    stub(program.home.parent / 'path', 'python', 'exit 1')
    done = start(program, shell = shell)
    assert done.returncode == 1 and done.stdout == ''
    assert '没有找到 Python 3.10' in done.stderr and 'Python 3.10 or newer was not found' in done.stderr
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize('shell', SHELLS)
def test_start_works_where_readlink_finds_no_whole_path(program, shell):
    # macOS before 12.3
    real(program, 'python3')
    stub(program.home.parent / 'path', 'readlink', 'echo "illegal option -- f" >&2; exit 1')
    assert parse_output(start(program, 'doctor', shell = shell).stdout)['arguments'] == ['doctor']


def test_start_finds_a_python_that_variables_lead_astray(program, tmp_path):
    real(program, 'python3')
    (tmp_path / 'site.py').write_text('raise SystemExit(1)')
    program.set_options(f'[StoreOptions]\nVenvHome = {tmp_path / "venv"}\n')
    program.environment |= {'PYTHONHOME': '/nowhere', 'PYTHONPATH': str(tmp_path)}
    done = start(program, '--version')
    assert parse_output(done.stdout)['prefix'] == str(tmp_path / 'venv'), done.stderr


def test_start_leaves_standard_input_to_the_program(program):
    (program.home / '__main__.py').write_text('print(input())\n')
    stub(program.home.parent / 'path', 'python3', 'read -r taken; exit 1')
    real(program, 'python')
    for tool in ('dirname', 'readlink'):
        (program.home.parent / 'path' / tool).symlink_to(shutil.which(tool))
    done = subprocess.run(['sh', program.home / 'START'],
                          env = program.variables(PATH = str(program.home.parent / 'path')),
                          executable = shutil.which('sh'),
                          input = 'words\n',
                          capture_output = True,
                          text = True,
                          check = False)
    assert done.stdout == 'words\n'


# START.bat


def test_start_bat_ends_its_lines_as_windows_wants():
    content = (ROOT / 'START.bat').read_bytes()
    assert content.count(b'\r\n') == content.count(b'\n') > 10


@pytest.fixture(scope = 'module')
def wine(tmp_path_factory):
    """Wine with a home of its own, warmed up."""
    variables = {
        'WINEPREFIX': str(tmp_path_factory.mktemp('wine')),
        'WINEDEBUG': '-all',
        'LC_ALL': 'C.UTF-8'
    }
    subprocess.run(['wine', 'cmd', '/c', 'exit'],
                   env = {
                       **os.environ,
                       **variables
                   },
                   check = True,
                   timeout = 300)
    yield variables
    subprocess.run(['wineserver', '-k'], env = {**os.environ, **variables}, check = False)


def start_bat(program, wine, *arguments, pythons = (), cwd = None):
    """Run START.bat under Wine's cmd with stand-ins for Python: batch files that run ``script`` unless checked."""
    folder = program.home.parent / 'path'
    for name, script in pythons:
        lines = ['@echo off', *script.splitlines()]
        (folder / f'{name}.bat').write_text('\r\n'.join([*lines, '']))
    path = 'Z:' + str(folder).replace('/', '\\')
    name = 'Z:' + str(program.home / 'START.bat').replace('/', '\\') if cwd else r'.\START.bat'
    return subprocess.run(['wine', 'cmd', '/c', name, *arguments],
                          cwd = cwd or program.home,
                          env = {
                              **os.environ,
                              **wine, 'WINEPATH': path
                          },
                          stdin = subprocess.DEVNULL,
                          capture_output = True,
                          text = True,
                          encoding = 'utf-8',
                          errors = 'replace',
                          check = False,
                          timeout = 120)


#: answers the question for its version, then tells its arguments and ends with 7
PYTHON = 'if "%2"=="-c" exit /b 0\nif "%3"=="-c" exit /b 0\necho {name} %*\nexit /b 7'


@judge('wine', 'wineserver')
@pytest.mark.parametrize('name', ['py', 'python', 'python3'])
def test_start_bat_finds_python_passes_arguments_and_ends_with_its_code(program, wine, name):
    pythons = [(name, PYTHON.format(name = name))]
    done = start_bat(program, wine, 'animate', 'a b.jpg', '--seed=1=2', pythons = pythons)
    assert done.returncode == 7
    assert done.stdout.startswith(f'{name} ')
    assert done.stdout.strip().endswith(r'\modules\install\launch.py" animate "a b.jpg" --seed=1=2')


@judge('wine', 'wineserver')
def test_start_bat_passes_over_what_only_looks_like_python(program, wine):
    pythons = [('py', 'exit /b 103'), ('python', 'echo Python was not found\nexit /b 9009'),
               ('python3', PYTHON.format(name = 'python3'))]
    done = start_bat(program, wine, pythons = pythons)
    assert done.returncode == 7 and done.stdout.startswith('python3 ')


@judge('wine', 'wineserver')
def test_start_bat_works_from_another_folder(program, wine, tmp_path):
    done = start_bat(
        program,
        wine,
        'doctor',
        pythons = [('python', PYTHON.format(name = 'python'))],
        cwd = tmp_path)
    assert done.returncode == 7 and done.stdout.strip().endswith('doctor')


def at_console(program, wine, command):
    """What Wine's cmd shows at a terminal, in the program's folder."""
    folder = program.home.parent / 'path'
    path = 'Z:' + str(folder).replace('/', '\\')
    ours, theirs = pty.openpty()
    with subprocess.Popen(['wine', 'cmd', '/c', command],
                          cwd = program.home,
                          env = {
                              **os.environ,
                              **wine, 'WINEPATH': path
                          },
                          stdin = theirs,
                          stdout = theirs,
                          stderr = theirs,
                          start_new_session = True) as process:
        os.close(theirs)
        shown = b''
        # what a terminal without programs answers is an error
        with contextlib.suppress(OSError):
            while select.select([ours], [], [], 60)[0] and (some := os.read(ours, 65536)):
                shown += some
        process.kill()
    os.close(ours)
    return shown.decode(errors = 'replace')


@judge('wine', 'wineserver')
@pytest.mark.parametrize('code_page', ['437', '936', '65001'])
def test_start_bat_works_in_any_folder_under_every_code_page(tmp_path, wine, code_page):
    (tmp_path / 'path').mkdir()
    program = small_program.build(tmp_path / 'a & b (照片) !x')
    # Wine starts programs of this system too
    stub(tmp_path / 'path', 'python.exe', '[ "$2" = -c ] || printf "<%s>\\n" "$@"')
    shown = at_console(program, wine, f'chcp {code_page} & .\\START.bat 照片.jpg --seed=1=2 & chcp')
    assert '\\a & b (照片) !x\\modules\\install\\launch.py>' in shown
    assert '<照片.jpg>' in shown and '<--seed=1=2>' in shown
    # the terminal is left as it was
    assert shown.count(f'Active code page: {code_page}') == 2


@judge('wine', 'wineserver')
@pytest.mark.parametrize('arguments', [(), ('--yes', )])
def test_start_bat_says_that_there_is_no_python_and_waits_for_nobody(program, wine, arguments):
    done = start_bat(program, wine, *arguments)
    assert done.returncode == 1
    assert 'Python 3.10 or newer was not found' in done.stdout
