#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The launcher: its own options, questions, the version rule, and what the program is given.

Libraries: psutil, pytest.
"""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import small_program
from small_program import parse_output

from modules.install import command_line, launch
from modules.install.environment import Failure

LAUNCHER = Path(launch.__file__)

#: runs the launcher as if under another Python
PRETEND = 'import runpy, sys; sys.version_info = {version}; sys.argv[:] = sys.argv[1:]; ' \
          'runpy.run_path(sys.argv[0], run_name = "__main__")'


@pytest.fixture
def program(tmp_path):
    """A program that uses the Python of the tests and needs no library."""
    return small_program.build(tmp_path / 'turn live 照片')


@pytest.fixture(scope = 'module')
def installed(tmp_path_factory):
    """A program that has been started once, with a virtual environment and a library in it."""
    program = small_program.build(tmp_path_factory.mktemp('installed') / '程 序')
    program.require('tiny>=1')
    program.set_options('')
    program.first = program.start('--yes')
    return program


@pytest.fixture
def venv_program(installed, tmp_path):
    """A copy of such a program; a virtual environment may be moved."""
    return small_program.copy(installed.home, tmp_path / 'copy')


def pretend(program, version, *arguments):
    command = [
        sys.executable, '-c',
        PRETEND.format(version = version), *program.command(*arguments)[1:]
    ]
    return subprocess.run(
        command,
        env = program.variables(),
        stdin = subprocess.DEVNULL,
        capture_output = True,
        text = True,
        check = False)


# The version rule


def test_can_be_read_by_a_python_as_old_as_3_6():
    ast.parse(LAUNCHER.read_text(encoding = 'utf-8'), feature_version = (3, 6))


def test_stops_under_an_old_python_with_a_sentence_in_both_languages(program):
    done = pretend(program, (3, 9, 2))
    assert done.returncode == 1 and done.stdout == ''
    assert 'needs Python 3.10 or newer' in done.stderr and '3.9.2' in done.stderr
    assert '需要 Python 3.10' in done.stderr and 'Traceback' not in done.stderr


def runs_as(python, version):
    """Whether a file is a Python of this version; a name may lead to a shim that runs none."""
    done = subprocess.run([python, '--version'], capture_output = True, text = True, check = False)
    return done.returncode == 0 and (done.stdout + done.stderr).startswith(f'Python {version}.')


@pytest.mark.parametrize('version', ['3.6', '3.7', '3.8', '3.9'])
def test_stops_under_a_real_old_python_where_there_is_one(version):
    found = sorted(Path.home().glob(f'.pyenv/versions/{version}.*/bin/python')) or [
        shutil.which(f'python{version}')
    ]
    for python in filter(None, found):
        if not runs_as(python, version):
            continue
        done = subprocess.run([python, LAUNCHER], capture_output = True, check = False)
        assert done.returncode == 1
        assert b'needs Python 3.10 or newer' in done.stderr and b'Traceback' not in done.stderr


def test_warns_under_a_newer_python_and_goes_on(program):
    done = pretend(program, (3, 14, 0))
    assert done.returncode == 0 and parse_output(done.stdout)
    assert 'This is Python 3.14' in done.stderr


def test_says_nothing_of_a_newer_python_when_told_not_to_check(program):
    program.set_options('[LaunchOptions]\nUseVenv = False\nSkipPythonChecking = True\n')
    assert pretend(program, (3, 14, 0)).stderr == ''


@pytest.mark.parametrize('version', [(3, 10, 0), (3, 13, 9)])
def test_says_nothing_under_the_oldest_and_the_newest_python(program, version):
    assert pretend(program, version).stderr == ''


# Its own options


def test_keeps_its_own_options_and_leaves_the_others_in_order():
    orders = command_line.parse_arguments(['--port', '1', '--yes', 'serve', '--svd', '--host=x'])
    assert orders.yes and orders.svd
    assert orders.rest == ('--port', '1', 'serve', '--host=x')


def test_leaves_everything_after_two_dashes_alone():
    orders = command_line.parse_arguments(['animate', '--', '--yes', '--svd'])
    assert not orders.yes and not orders.svd
    assert orders.rest == ('animate', '--', '--yes', '--svd')


@pytest.mark.parametrize('arguments', [('--config', 'a=b.ini'), ('--config=a=b.ini', )])
def test_finds_the_ini_named_on_the_command_line_and_passes_it_on(arguments):
    orders = command_line.parse_arguments(['serve', *arguments])
    assert orders.config == Path('a=b.ini')
    assert orders.rest == ('serve', *arguments)


def test_parts_run_arguments_as_a_shell_would():
    words = '''--max-split-size-mb=14436 --model "a b" 'c=d # e' --seed=1\\ 2'''
    assert command_line.split_run_arguments(
        words, windows = False) == [
            '--max-split-size-mb=14436', '--model', 'a b', 'c=d # e', '--seed=1 2'
        ]


def test_keeps_the_backslashes_of_run_arguments_on_windows():
    words = r'--model "C:\my models\svd" D:\照片'
    assert command_line.split_run_arguments(
        words, windows = True) == ['--model', r'C:\my models\svd', r'D:\照片']


def test_refuses_run_arguments_with_an_open_quote():
    with pytest.raises(Failure) as refusal:
        command_line.split_run_arguments('--model "a', windows = False)
    assert '--model "a' in refusal.value.words.in_('en')


# What the program is given


def test_passes_every_argument_as_it_is(program):
    arguments = [
        'animate', 'a b.jpg', '照片.jpg', '--seed=1=2', '"quoted"', "it's", '', '$HOME', '*', '\\'
    ]
    assert parse_output(program.start(*arguments).stdout)['arguments'] == arguments


@pytest.mark.parametrize('code', ['0', '1', '3', '255'])
def test_ends_with_the_exit_code_of_the_program(program, code):
    assert program.start(EXIT = code).returncode == int(code)


def test_runs_the_program_in_the_folder_it_was_started_from(program, tmp_path):
    done = subprocess.run(
        program.command(),
        cwd = tmp_path,
        env = program.variables(),
        capture_output = True,
        text = True,
        check = True)
    assert parse_output(done.stdout)['cwd'] == str(tmp_path)


@pytest.mark.parametrize('given', [(), ('serve', ), ('--host', 'localhost', 'serve')])
def test_adds_run_arguments_before_the_given_ones_when_serving(program, given):
    program.set_options('[LaunchOptions]\nUseVenv = False\nRunArguments = --port=1 --model "a b"\n')
    assert parse_output(
        program.start(*given).stdout)['arguments'] == ['--port=1', '--model', 'a b', *given]


def test_adds_no_run_arguments_to_other_sub_commands(program):
    program.set_options('[LaunchOptions]\nUseVenv = False\nRunArguments = --port=1\n')
    given = ['--engine', 'camera', 'animate', 'a.jpg']
    assert parse_output(program.start(*given).stdout)['arguments'] == given


def test_reads_the_ini_named_on_the_command_line(program, tmp_path):
    ini = tmp_path / 'another one.ini'
    ini.write_text(
        '[LaunchOptions]\nUseVenv = False\nRunArguments = --port=2\n', encoding = 'utf-8')
    assert parse_output(program.start('--config', str(ini)).stdout)['arguments'][0] == '--port=2'


def test_shows_what_is_wrong_with_the_ini_and_starts_nothing(program):
    program.set_options('[LaunchOptions]\nUseVenv = perhaps\n')
    done = program.start()
    assert done.returncode == 2 and done.stdout == ''
    assert 'line 2' in done.stderr and 'UseVenv' in done.stderr and 'Traceback' not in done.stderr


def test_starts_without_an_ini(program):
    (program.home / 'configuration.ini').rename(program.home / 'kept.ini')
    environment = program.start('--config', str(program.home / 'kept.ini'))
    assert environment.returncode == 0


# The tunnel

#: tells its arguments and the token in its environment
TELL_TOKEN = 'import json, os, sys; print(json.dumps([sys.argv[1:], os.environ.get("NGROK_AUTHTOKEN")]))'


@pytest.mark.parametrize(('given', 'rest', 'token'), [
    (['--ngrok', '--ngrok-authtoken', 'a'], ['--ngrok'], 'a'),
    (['--ngrok-authtoken=a=b', '--port', '1'], ['--port', '1'], 'a=b'),
    (['--ngrok-authtoken', 'a', '--ngrok-authtoken=b'], [], 'b'),
    (['--ngrok-authtoken='], ['--ngrok-authtoken='], None),
    (['--ngrok-authtoken', '--ngrok'], ['--ngrok-authtoken', '--ngrok'], None),
    (['--ngrok-authtoken'], ['--ngrok-authtoken'], None),
    (['--', '--ngrok-authtoken', 'a'], ['--', '--ngrok-authtoken', 'a'], None),
    (['--port', '1'], ['--port', '1'], None),
])
def test_parts_the_token_from_what_everybody_sees(given, rest, token):
    assert command_line.extract_token(given) == (rest, {'NGROK_AUTHTOKEN': token} if token else {})


def test_hands_the_token_over_unseen_wherever_it_stands(program):
    (program.home / '__main__.py').write_text(TELL_TOKEN)
    found = program.start('--ngrok-authtoken', 'secret', NGROK_AUTHTOKEN = 'old').stdout
    assert json.loads(found) == [[], 'secret']
    assert json.loads(program.start(NGROK_AUTHTOKEN = 'old').stdout) == [[], 'old']
    program.set_options('[LaunchOptions]\nUseVenv = False\nRunArguments = --ngrok-authtoken=x\n')
    assert json.loads(program.start('--port', '1').stdout) == [['--port', '1'], 'x']


@pytest.mark.parametrize('where', ['given', 'ini'])
def test_the_tunnels_library_is_installed_when_a_tunnel_is_asked_for(venv_program, where):
    venv_program.require('tiny>=1', tunnel = 'torch')
    assert 'torch' not in venv_program.start('animate', '--ngrok').stdout
    if where == 'ini':
        venv_program.set_options('[LaunchOptions]\nRunArguments = --ngrok\n')
    given = ['--ngrok'] if where == 'given' else []
    done = venv_program.start(*given)
    assert 'Successfully installed torch-1' in done.stdout
    assert parse_output(done.stdout)['arguments'] == ['--ngrok']
    assert venv_program.start(*given, PIP_FIND_LINKS = '/nowhere').stderr == ''


@pytest.mark.parametrize('command', [(), ('worker', ), ('doctor', )])
def test_the_libraries_of_a_fleet_are_installed_when_a_broker_is_set(venv_program, command):
    venv_program.require('tiny>=1', fleet = 'torch')
    assert 'torch' not in venv_program.start(*command).stdout
    venv_program.set_options('[QueueOptions]\nBroker = redis://localhost/0\n')
    assert 'Successfully installed torch-1' in venv_program.start(*command).stdout
    assert venv_program.start(*command, PIP_FIND_LINKS = '/nowhere').stderr == ''


# Being stopped


@pytest.mark.parametrize('sent', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_program(program, sent):
    (program.home / '__main__.py').write_text(
        'import signal, sys, time\n'
        f'signal.signal({int(sent)}, lambda *_: sys.exit(42))\n'
        'print("here", flush = True)\ntime.sleep(60)\n')
    with subprocess.Popen(
            program.command(),
            env = program.variables(),
            stdout = subprocess.PIPE,
            stderr = subprocess.PIPE,
            stdin = subprocess.DEVNULL) as process:
        assert process.stdout.readline() == b'here\n'
        process.send_signal(sent)
        assert process.wait(60) == 42
        assert process.stderr.read() == b''


@pytest.mark.parametrize('sent, status', [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_ends_what_it_waits_for_when_it_is_stopped(program, sent, status):
    tools(program, 'import time; print(flush = True); time.sleep(60)')
    with subprocess.Popen(
            program.command('test', '--yes'),
            env = program.variables(),
            stdin = subprocess.DEVNULL,
            stdout = subprocess.PIPE,
            stderr = subprocess.PIPE,
            start_new_session = True) as process:
        process.stdout.readline()
        checks = [child.pid for child in psutil.Process(process.pid).children(recursive = True)]
        assert len(checks) >= 6
        # A terminal tells everybody of Ctrl-C; a service manager may tell the launcher alone.
        (os.kill if sent == signal.SIGTERM else os.killpg)(process.pid, sent)
        assert process.wait(60) == status
        assert not any(map(psutil.pid_exists, checks))
        assert b'launch.py' not in process.stderr.read()


# Dependencies


def test_the_first_start_makes_an_environment_and_shows_what_pip_does(installed):
    first = installed.first
    assert parse_output(first.stdout)['prefix'] == str(installed.home / '.venv')
    assert 'Successfully installed tiny-1' in first.stdout
    assert 'virtual environment' in first.stderr and 'requirements-core.txt' in first.stderr


def test_an_unchanged_second_start_runs_no_pip_and_needs_no_network(installed):
    done = installed.start(PIP_FIND_LINKS = '/nowhere')
    assert done.returncode == 0 and done.stderr == ''
    assert len(done.stdout.splitlines()) == 1


def test_changed_requirements_are_installed(venv_program):
    venv_program.require('tiny>=1\ntorch')
    assert 'Successfully installed torch-1' in venv_program.start().stdout


def test_a_failing_pip_ends_the_start_with_its_exit_code_and_with_help(venv_program):
    venv_program.require('nothing-of-this-name')
    done = venv_program.start()
    assert done.returncode == 1 and 'prefix' not in done.stdout
    assert 'No matching distribution' in done.stderr
    assert 'PipMirrorUrl' in done.stderr and 'Traceback' not in done.stderr


def test_what_failed_is_tried_again(venv_program):
    venv_program.require('tiny>=1\ntorch')
    assert venv_program.start(PIP_FIND_LINKS = '/nowhere').returncode == 1
    assert 'Successfully installed torch-1' in venv_program.start().stdout


def test_stable_video_is_installed_when_asked_for_and_stays(venv_program):
    venv_program.require('tiny>=1', svd = 'torch')
    assert 'torch' not in venv_program.start('animate', PATH = '/nowhere').stdout
    assert 'Successfully installed torch-1' in venv_program.start('animate', '--svd').stdout
    assert venv_program.start('animate', PIP_FIND_LINKS = '/nowhere').returncode == 0
    venv_program.require('tiny>=1', svd = 'torch>=2')
    assert 'torch>=2' in venv_program.start('animate', PATH = '/nowhere').stderr


@pytest.mark.parametrize(('words', 'command'), [
    ([], ''),
    (['--port', '1'], ''),
    (['--host', 'test'], ''),
    (['--host=x', 'serve', '--model', 'download'], 'serve'),
    (['--config', 'x.ini', 'test', '-k', 'gif'], 'test'),
    (['--progress-bar', 'doctor'], 'doctor'),
    (['--depth', 'download'], 'download'),
])
def test_a_value_is_not_taken_for_a_command(words, command):
    assert command_line.parse_arguments(words).command == command


def test_nobody_waits_for_stable_video_before_the_page_is_there(venv_program):
    venv_program.require('tiny>=1', svd = 'torch')
    done = venv_program.start('--svd', '--port', '1', PATH = '/nowhere')
    assert 'torch' not in done.stdout
    assert parse_output(done.stdout)['arguments'] == ['--fetch-libraries', '--port', '1']


def test_a_graphics_card_brings_stable_video_and_its_model(venv_program, tmp_path):
    tool = tmp_path / 'nvidia-smi'
    tool.write_text('#!/bin/sh\necho "GPU 0: A Card (UUID: GPU-1)"\n')
    tool.chmod(0o755)
    venv_program.require('tiny>=1', svd = 'torch')
    done = venv_program.start(PATH = f'{tmp_path}:/bin')
    assert parse_output(done.stdout)['arguments'] == ['--fetch-libraries', '--fetch-model']


@pytest.mark.parametrize('given', [(), ('--yes', ), ('serve', )], ids = str)
def test_the_small_model_is_fetched_without_a_question(program, given):
    (program.home / small_program.DEPTH_MODEL).unlink()
    fetched, command = ['--fetch', 'depth'], [word for word in given if word != '--yes']
    assert parse_output(program.start(*given).stdout)['arguments'] == [*fetched, *command]
    status, shown = program.start_at_terminal('', *given)
    assert status == 0 and '?' not in shown


@pytest.mark.parametrize(('ini', 'given'), [('[ModelOptions]\nDepth = prior\n', ()),
                                            ('', ('doctor', )), ('', ('animate', 'a.jpg'))])
def test_the_small_model_is_not_fetched_where_it_is_refused_or_nobody_would_wait(
        program, ini, given):
    (program.home / small_program.DEPTH_MODEL).unlink()
    program.set_options(f'[LaunchOptions]\nUseVenv = False\n{ini}')
    assert parse_output(program.start(*given).stdout)['arguments'] == [*given]


def test_says_where_pytorch_comes_from_when_it_has_an_index_of_its_own(venv_program):
    venv_program.require('tiny>=1', svd = 'torch')
    venv_program.set_options(
        '[InstallationOptions]\nPyTorchIndexUrl = https://pytorch.example/cu128\n')
    done = venv_program.start('animate', '--svd')
    assert 'PyTorch comes from https://pytorch.example/cu128' in done.stderr
    assert done.stdout.count('Successfully installed torch-1') == 1


def test_installs_nothing_into_somebody_elses_python_unasked(program):
    program.require('nothing-of-this-name')
    done = program.start()
    assert parse_output(
        done.stdout) and 'lacks these libraries: nothing-of-this-name' in done.stderr


def test_installs_into_the_python_in_use_when_told_to(program):
    program.require('nothing-of-this-name')
    done = program.start('--yes', PIP_BREAK_SYSTEM_PACKAGES = '1')
    assert done.returncode == 1 and 'No matching distribution' in done.stderr


# Questions


def test_enter_at_the_question_takes_the_default(venv_program):
    venv_program.require('tiny>=1\ntorch')
    status, shown = venv_program.start_at_terminal('\n\n')
    assert status == 0 and 'install the libraries? [Y/n]' in shown
    assert 'Successfully installed torch-1' in shown


def test_no_at_the_question_installs_nothing(venv_program):
    venv_program.require('tiny>=1\ntorch')
    status, shown = venv_program.start_at_terminal('n\n')
    assert status == 0 and 'installed' not in shown and 'prefix' in shown


def test_asks_again_when_the_answer_is_neither_yes_nor_no(venv_program):
    venv_program.require('tiny>=1\ntorch')
    _, shown = venv_program.start_at_terminal('what\nn\n')
    assert shown.count('[Y/n]') == 2


def test_yes_at_the_question_after_a_missing_card_installs_stable_video(venv_program):
    venv_program.require('tiny', svd = 'torch')
    status, shown = venv_program.start_at_terminal('\ny\n\n')
    assert status == 0 and '--fetch-libraries' in shown
    assert 'Fetch the model too?' in shown and '--fetch-model' not in shown


def test_yes_at_the_question_for_the_model_fetches_it(venv_program):
    venv_program.require('tiny', svd = 'torch')
    _, shown = venv_program.start_at_terminal('\ny\ny\n')
    assert '--fetch-model' in shown


def test_asks_nothing_with_yes_at_a_terminal(venv_program):
    venv_program.require('tiny>=1\ntorch')
    status, shown = venv_program.start_at_terminal('', '--yes')
    assert status == 0 and '?' not in shown and 'Successfully installed torch-1' in shown


def test_asks_nothing_when_there_is_nothing_to_do(installed):
    status, shown = installed.start_at_terminal('')
    assert status == 0 and '?' not in shown


# The checks


def tools(program, script):
    """Stand-ins for every tool of START test, found before the real ones."""
    folder = program.home / 'tools'
    (folder / 'pydoclint').mkdir(parents = True)
    (folder / 'pydoclint' / '__init__.py').touch()
    for name in ('pytest', 'ruff', 'yapf', 'pydoclint/main', 'mypy', 'vermin'):
        (folder / f'{name}.py').write_text(f'def main(): pass\nrun_main = main\n{script}')
    program.environment['PYTHONPATH'] = str(folder)


TELLS = 'import os, sys; name = os.path.basename(__file__); print(name, sys.argv[1:], os.getcwd())\n'


def test_runs_every_check_in_the_programs_folder(program):
    tools(program, TELLS + 'sys.exit(name != "pytest.py")')
    done = program.start('test', '-k', 'a b')
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert [line.split()[0] for line in lines
            ] == ['pytest.py', 'ruff.py', 'yapf.py', 'main.py', 'mypy.py', 'vermin.py']
    assert lines[0].partition("]")[0].endswith("'-k', 'a b'") and all('-k' not in line
                                                                      for line in lines[1:])
    assert all(line.endswith(str(program.home)) for line in lines)


def test_runs_the_other_checks_after_one_has_failed_and_fails_in_the_end(program):
    tools(program, TELLS + 'sys.exit(3 if name == "ruff.py" else 0)')
    done = program.start('test')
    assert done.returncode == 1
    # what has passed would only be in the way of what has not
    assert [line.split()[0] for line in done.stdout.splitlines()] == ['pytest.py', 'ruff.py']
    assert 'ruff: failed (exit code 3)' in done.stderr and 'vermin: passed' in done.stderr


def test_passes_when_every_check_has(program):
    tools(program, TELLS)
    assert program.start('test').returncode == 0


def test_checks_only_what_is_there(program):
    tools(program, TELLS + 'sys.exit(1)')
    assert "'check', '__main__.py', 'modules'" in program.start('test').stdout
