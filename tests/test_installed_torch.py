#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the installed PyTorch was built for, and what it is told before it is imported: stand-ins for its builds.

Libraries: pytest, torch.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modules import installed_torch
from modules.installed_torch import ROCM_ATTENTION

ROOT = Path(__file__).resolve().parent.parent

#: what builds write about themselves
VERSION = '''
from typing import Optional
__version__ = {version!r}
debug = False
cuda: Optional[str] = {cuda!r}
git_version = '1'
hip: Optional[str] = {hip!r}
'''

#: tells what was set when it was imported, and is no PyTorch
STAND_IN = f'import os; print("is", os.environ.get({ROCM_ATTENTION!r}), flush = True); raise ImportError'

#: an engine that imports torch when it is loaded, by which time libraries may have come that were not there before
LATE_ENGINE = '''
import sys
sys.path.insert(0, {root!r})
from modules.configuration import Configuration
from modules.engines import Engines

class Late:
    def __init__(self, _configuration):
        pass

    def unavailable(self):
        return None

    def load(self):
        try:
            import torch
        except ImportError:
            pass

engines = Engines(Configuration(), {{'late': ('__main__', 'Late')}})
sys.path.insert(0, {place!r})
engines.get('late')
'''


@pytest.fixture
def lay(tmp_path):
    """Write a stand-in for a build of PyTorch."""

    def write(version, cuda = None, hip = None):
        (tmp_path / 'torch').mkdir(exist_ok = True)
        (tmp_path / 'torch' / '__init__.py').write_text(STAND_IN)
        (tmp_path / 'torch' / 'version.py').write_text(
            VERSION.format(version = version, cuda = cuda, hip = hip))
        return tmp_path

    return write


@pytest.mark.parametrize('build', [
    ('2.13.0+cu126', '12.6', None),
    ('2.13.0+rocm7.2', None, '7.2.53211'),
    ('2.13.0+cpu', None, None),
])
def test_a_build_tells_what_it_is_for(lay, monkeypatch, build):
    monkeypatch.syspath_prepend(lay(*build))
    found = installed_torch.find()
    assert (found.version, found.cuda or None, found.hip or None) == build


def test_the_build_of_this_machine_is_read_as_torch_tells_it():
    import torch
    found = installed_torch.find()
    assert (found.version, found.cuda or None, found.hip
            or None) == (torch.__version__, torch.version.cuda, torch.version.hip)


def test_no_build_and_half_of_one_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'path', [str(tmp_path)])
    assert installed_torch.find() is None
    (tmp_path / 'torch').mkdir()
    (tmp_path / 'torch' / '__init__.py').touch()
    assert installed_torch.find() is None


def said(place, *command, given = None):
    """What the stand-in found in its environment."""
    variables = {name: value for name, value in os.environ.items() if name != ROCM_ATTENTION}
    variables |= {ROCM_ATTENTION: given} if given is not None else {}
    done = subprocess.run([sys.executable, *command],
                          env = {
                              **variables, 'PYTHONPATH': str(place)
                          },
                          cwd = ROOT,
                          capture_output = True,
                          encoding = 'utf-8',
                          check = False)
    lines = [line for line in done.stdout.splitlines() if line.startswith('is ')]
    assert lines, done.stdout + done.stderr
    return lines[0].partition(' ')[2]


@pytest.mark.parametrize(('build', 'given', 'expected'), [
    (('2.13.0+rocm7.2', None, '7.2.53211'), None, '1'),
    (('2.13.0+rocm7.2', None, '7.2.53211'), '0', '0'),
    (('2.13.0+cu126', '12.6', None), None, 'None'),
    (('2.13.0+cpu', None, None), None, 'None'),
])
def test_a_build_for_amd_is_told_of_fused_attention_before_it_is_imported(
        lay, tmp_path, build, given, expected):
    ini = tmp_path / 'small.ini'
    ini.write_text(f'[StoreOptions]\nOutputsHome = {tmp_path}\nModelsHome = {tmp_path}\n')
    place = lay(*build)
    assert said(place, '__main__.py', 'doctor', '--config', ini, given = given) == expected


def test_a_build_that_comes_while_the_program_runs_is_told_as_well(lay, tmp_path):
    code = LATE_ENGINE.format(root = str(ROOT), place = str(lay('2.13+rocm', None, '7.2')))
    assert said(tmp_path / 'nothing', '-c', code) == '1'
