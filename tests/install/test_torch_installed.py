#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The PyTorch that fits the card, from the driver's answer to the files in the environment: START, the installation while
the program serves, a notebook's, and the image's. The real pip, indexes made here, pretended drivers.

Libraries: pytest.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
import small_program

from modules.install import dependencies, environment, torch_builds

ROOT = Path(__file__).resolve().parents[2]

#: libraries of different names that have a file in common, as those of two CUDAs have
CUDNN = 'nvidia/cudnn/version.py'

#: what the indexes have: pip's own the newest PyTorch, the others an older one for other cards
INDEXES = {
    'usual': ({
        'name': 'torch',
        'version': '2.13.0',
        'requires': 'nvidia_cudnn_cu13'
    }, {
        'name': 'nvidia_cudnn_cu13',
        'version': '9.20',
        'file': CUDNN
    }, {
        'name': 'nvidia_cudnn_cu12',
        'version': '9.10',
        'file': CUDNN
    }, {
        'name': 'tiny'
    }),
    'whl/cu126': ({
        'name': 'torch',
        'version': '2.13.0+cu126',
        'requires': 'nvidia_cudnn_cu12'
    }, ),
    'whl/cu128': ({
        'name': 'torch',
        'version': '2.11.0+cu128',
        'requires': 'nvidia_cudnn_cu12'
    }, ),
}

RANGE = 'torch>=2.6,<=2.13.0  # why'


@pytest.fixture(scope = 'module')
def indexes(tmp_path_factory):
    """Their address."""
    folder = tmp_path_factory.mktemp('indexes')
    for name, wheels in INDEXES.items():
        small_program.make_index(folder / name, *wheels)
    return folder.as_uri()


@pytest.fixture
def program(tmp_path, bare_environment, indexes):
    """A program that takes everything from those indexes, and asks a driver that can be pretended."""
    made = small_program.build(tmp_path / 'program')
    small_program.copy_environment(bare_environment, made.home / '.venv')
    made.require('tiny', svd = RANGE)
    made.set_options('')
    builds = made.home / 'modules' / 'install' / 'torch_builds.py'
    builds.write_text(builds.read_text().replace(torch_builds.INDEX, f'{indexes}/whl/'))
    made.environment = {'PIP_INDEX_URL': f'{indexes}/usual', 'PATH': f'{tmp_path}:/usr/bin:/bin'}
    return made


def variables(program):
    """Those of a start, with indexes."""
    return {
        name: value
        for name, value in program.variables().items()
        if name not in ('PIP_NO_INDEX', 'PIP_FIND_LINKS')
    }


def pretend(folder, answer):
    """A driver's tool."""
    (folder / 'nvidia-smi').write_text(f"#!/bin/sh\nprintf '{answer}'\n")
    (folder / 'nvidia-smi').chmod(0o755)


def start(program, *arguments):
    done = subprocess.run(
        program.command('animate', *arguments),
        env = variables(program),
        stdin = subprocess.DEVNULL,
        capture_output = True,
        encoding = 'utf-8',
        check = False,
        timeout = 120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def built(program):
    """Which PyTorch is there, which CUDA's libraries, and whose file the one is that both have."""
    place = next((program.home / '.venv').glob('lib/python*/site-packages'))
    names = [path.name.partition('.dist-info')[0] for path in place.glob('*.dist-info')]
    return (sorted(name for name in names
                   if re.match('torch|nvidia', name)), (place / CUDNN).read_text().split('"')[1])


USUAL = (['nvidia_cudnn_cu13-9.20', 'torch-2.13.0'], 'nvidia_cudnn_cu13 9.20')


def test_start_takes_what_fits_and_replaces_it_when_card_or_driver_change(program, tmp_path):
    said = start(program, '--svd')
    assert built(program) == USUAL and 'no NVIDIA card was found' in said
    # a card that CUDA 13 leaves out
    pretend(tmp_path, '6.1, 580.65.06, GTX 1080\\n')
    said = start(program)
    assert built(program) == (['nvidia_cudnn_cu12-9.10',
                               'torch-2.13.0+cu126'], 'nvidia_cudnn_cu12 9.10')
    assert 'whl/cu126' in said and 'GTX 1080 (6.1)' in said
    # nothing changes by itself, nor while the driver gives no answer
    assert start(program) == ''
    pretend(tmp_path, 'Failed to initialize NVML: Driver/library version mismatch\\n')
    assert start(program) == ''
    (tmp_path / 'nvidia-smi').unlink()
    assert start(program) == ''
    # a card that CUDA 12.6 does not know; the libraries of both have files of the same names
    pretend(tmp_path, '12.0, 580.65.06, RTX 5090\\n')
    assert 'RTX 5090 (12.0)' in start(program)
    assert built(program) == USUAL
    # its first driver is too old for CUDA 13
    pretend(tmp_path, '12.0, 570.86.10, RTX 5090\\n')
    start(program)
    assert built(program) == (['nvidia_cudnn_cu12-9.10',
                               'torch-2.11.0+cu128'], 'nvidia_cudnn_cu12 9.10')
    # somebody wants another one
    program.set_options(
        f'[InstallationOptions]\nPyTorchIndexUrl = {(program.environment["PIP_INDEX_URL"])[:-5]}whl/cu126'
    )
    assert 'PyTorchIndexUrl says so' in start(program)
    assert 'torch-2.13.0+cu126' in built(program)[0] and start(program) == ''


FETCH = '''
import logging, sys, time
logging.basicConfig(level = logging.INFO)
sys.path.insert(0, {root!r})
from pathlib import Path
from modules.install import torch_builds
from modules.configuration import Configuration, StoreOptions
from modules.install.background import LibraryFetcher
torch_builds.INDEX = {index!r}
fetcher = LibraryFetcher(
    Configuration(store = StoreOptions(venv_home = Path(sys.prefix))), Path({requirements!r}))
fetcher.start()
while fetcher.is_coming():
    time.sleep(0.05)
print(fetcher.state().state, fetcher.state().error)
'''


@pytest.mark.parametrize('elsewhere', [{}, {'PIP_TARGET': '/nowhere', 'PIP_USER': '1'}])
def test_what_comes_while_the_program_serves_fits_as_well(program, tmp_path, indexes, elsewhere):
    home = program.home / '.venv'
    pretend(tmp_path, '7.0, 535.183.01, V100\\n')
    code = FETCH.format(
        root = str(ROOT),
        index = f'{indexes}/whl/',
        requirements = str(program.home / 'requirements.txt'))
    done = subprocess.run([environment.find_interpreter(home), '-c', code],
                          env = {
                              **variables(program),
                              **elsewhere
                          },
                          capture_output = True,
                          encoding = 'utf-8',
                          check = True)
    assert done.stdout == 'done None\n', done.stderr
    assert 'torch-2.13.0+cu126' in built(program)[0]
    assert 'whl/cu126' in done.stderr and 'V100 (7.0)' in done.stderr
    note = environment.read_note(home)
    assert note.torch_index == f'{indexes}/whl/cu126' and 'torch' in note.libraries
    # the next start has nothing to do
    assert start(program) == ''


ADD = '''
import sys
sys.path.insert(0, {root!r})
from modules.install import additions, torch_builds
from modules.configuration import InstallationOptions
torch_builds.INDEX = {index!r}
additions.install_missing(['tiny', {torch!r}], InstallationOptions())
'''


def test_a_notebook_without_pytorch_gets_the_one_that_fits(program, tmp_path, indexes):
    home = program.home / '.venv'
    pretend(tmp_path, '6.1, 535.183.01, P40\\n')
    code = ADD.format(root = str(ROOT), index = f'{indexes}/whl/', torch = 'torch>=2.6,<=2.13.0')
    python = environment.find_interpreter(home)
    subprocess.run([python, '-c', code], env = variables(program), check = True)
    assert 'torch-2.13.0+cu126' in built(program)[0]


# The image


def installing_step():
    """The command of the Dockerfile that installs the libraries."""
    words = (ROOT / 'Dockerfile').read_text(encoding = 'utf-8')
    return next(step for step in re.findall(r'^RUN ((?:.*\\\n)*.*)', words, re.M) if 'venv' in step)


@pytest.mark.parametrize(('requirements', 'expected'), [
    ('requirements.txt', ['torch-2.11.0+cu128']),
    ('requirements-core.txt', []),
])
def test_the_image_has_the_pytorch_that_its_build_argument_names(program, indexes, requirements,
                                                                 expected):
    # the environment is there already, which spares time
    step = installing_step().replace('python3 -m venv /venv', 'true')
    given = {
        **variables(program), 'REQUIREMENTS': requirements,
        'PYTORCH_INDEX_URL': f'{indexes}/whl/cu128'
    }
    python = environment.find_interpreter(program.home / '.venv')
    command = ['sh', '-ec', step.replace('/venv/bin/pip', f'{python} -m pip')]
    subprocess.run(command, cwd = program.home, env = given, check = True)
    place = next((program.home / '.venv').glob('lib/python*/site-packages'))
    found = [path.name.partition('.dist-info')[0] for path in place.glob('torch*.dist-info')]
    assert found == expected and (place / 'tiny.py').is_file()


def test_the_image_finds_pytorch_among_the_real_requirements():
    command = re.search(r'torch=\$\((.*)\)', installing_step())[1]

    def found(requirements):
        done = subprocess.run(['sh', '-ec', command],
                              cwd = ROOT,
                              env = {
                                  **os.environ, 'REQUIREMENTS': requirements
                              },
                              capture_output = True,
                              text = True,
                              check = True)
        return done.stdout.strip()

    assert found('requirements.txt') == dependencies.find_requirement('torch',
                                                                      ROOT / 'requirements.txt')
    assert found('requirements-core.txt') == ''
