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
import tiny_checkpoint

from modules.commands import doctor
from modules.configuration import Configuration, InstallationOptions, ModelOptions, StoreOptions
from modules.engines.diffusion import budget
from modules.engines.registry import Engines
from modules.engines.stable_video import engine
from modules.install import environment, installed_torch, unseen_gpu
from modules.install.installed_torch import ROCM_ATTENTION

ROOT = Path(__file__).resolve().parents[2]

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
from modules.engines.contract import EngineStatus
from modules.engines.registry import Engines

class Late:
    def __init__(self, _configuration, are_libraries_coming):
        pass

    def status(self):
        return EngineStatus()

    def load(self):
        try:
            import torch
        except ImportError:
            pass

engines = Engines(Configuration(), {{'late': ('__main__', 'Late')}})
sys.path.insert(0, {place!r})
engines.get('late')
'''

#: what a page asks while the worker imports torch, which lacks most of its names until then
MEANWHILE = f'''
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from modules.install import installed_torch
from modules.configuration import Configuration, ModelOptions
from modules.engines.diffusion import gpus
from modules.engines.stable_video.engine import StableVideo
engine = StableVideo(Configuration(model = ModelOptions(device = 'cuda')), lambda _: Path(sys.argv[1]))
status = engine.status()
print('is', status.reason, status.predict_memory(), status.warnings, gpus.others(Configuration()))
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


def find_variables(place, *command, given = None):
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
    assert find_variables(
        place, '__main__.py', 'doctor', '--config', ini, given = given) == expected


def test_a_build_that_comes_while_the_program_runs_is_told_as_well(lay, tmp_path):
    code = LATE_ENGINE.format(root = str(ROOT), place = str(lay('2.13+rocm', None, '7.2')))
    assert find_variables(tmp_path / 'nothing', '-c', code) == '1'


def test_half_of_an_import_is_no_torch_to_ask(tmp_path, checkpoint):
    (tmp_path / 'torch.py').write_text(MEANWHILE)
    assert find_variables(tmp_path, '-c', 'import torch', checkpoint) == 'None None () []'
    import torch
    assert installed_torch.find_imported() is torch


# Where the driver shows a card and PyTorch sees none

#: sees no GPU, as PyTorch does with a driver that is too old
BLIND = '''
class cuda:
    is_available = staticmethod(lambda: False)

class backends:
    class mps:
        is_available = staticmethod(lambda: False)
'''


@pytest.fixture
def card(tmp_path, monkeypatch):
    """A driver's tool that shows one."""
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'nvidia-smi').write_text('#!/bin/sh\necho 8.6, 550.54.14, RTX 3090\n')
    (tmp_path / 'bin' / 'nvidia-smi').chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path / "bin"}:/usr/bin:/bin')
    unseen_gpu.explain_for.cache_clear()
    yield
    unseen_gpu.explain_for.cache_clear()


@pytest.fixture
def blind(lay, monkeypatch, card):
    """The usual build of PyTorch, beside that driver."""
    place = lay('2.13.0+cu130', '13.0')
    (place / 'torch' / '__init__.py').write_text(BLIND)
    monkeypatch.delitem(sys.modules, 'torch', raising = False)
    monkeypatch.syspath_prepend(place)
    yield place
    sys.modules.pop('torch', None)


ON_LINUX = pytest.mark.skipif(sys.platform != 'linux', reason = 'of other systems less is known')


@ON_LINUX
@pytest.mark.parametrize('option', ['auto', 'cuda', 'cuda:0'])
def test_doctor_tells_the_build_to_take_and_why_no_card_is_seen(blind, option, tmp_path):
    options = Configuration(
        model = ModelOptions(device = option), store = StoreOptions(venv_home = tmp_path))
    lines = dict(doctor.report(options, Engines(options), 'en'))
    taken, seen = lines['PyTorch to take'].in_('en'), lines['GPU'].in_('en')
    assert taken.startswith('https://download.pytorch.org/whl/cu128: ')
    assert 'RTX 3090 (8.6)' in taken and '550.54.14' in taken
    assert 'Driver 550.54.14 is too old for this PyTorch: CUDA 13.0 needs 580' in seen
    assert 'whl/cu128' in seen


@ON_LINUX
def test_doctor_tells_what_somebody_has_set(blind, tmp_path):
    options = Configuration(
        installation = InstallationOptions(pytorch_index_url = 'https://pytorch.example/cu126'),
        store = StoreOptions(venv_home = tmp_path))
    lines = dict(doctor.report(options, Engines(options), 'zh'))
    assert lines['应装的 PyTorch'].in_('zh') == (
        'https://pytorch.example/cu126：这是 PyTorchIndexUrl 的设置。')


def test_doctor_tells_of_no_card_where_the_processor_is_wanted(blind, tmp_path):
    options = Configuration(
        model = ModelOptions(device = 'cpu'), store = StoreOptions(venv_home = tmp_path))
    assert 'GPU' not in dict(doctor.report(options, Engines(options), 'en'))


@ON_LINUX
def test_doctor_keeps_to_what_was_chosen_while_the_driver_gives_no_answer(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    index = 'https://download.pytorch.org/whl/cu126'
    environment.write_note(tmp_path, environment.Note('3.11', torch_index = index))
    options = Configuration(store = StoreOptions(venv_home = tmp_path))
    lines = dict(doctor.report(options, Engines(options), 'en'))
    assert lines['PyTorch to take'].in_('en').startswith(f'{index}: ')


@pytest.fixture(scope = 'module')
def checkpoint(tmp_path_factory):
    return tiny_checkpoint.make(tmp_path_factory.mktemp('model'))


def test_the_engine_tells_it_as_its_reason(checkpoint, blind, tmp_path, monkeypatch):
    # what makes clips on a processor in a bearable time
    monkeypatch.setattr(budget, 'SMALL', 0)
    svd = engine.StableVideo(Configuration(), lambda _configuration: checkpoint)
    svd.budget.use_device('cpu', None)
    for language, words in (('en', 'too old for this PyTorch'), ('zh', '对这个 PyTorch 太旧')):
        reason = svd.status().reason.in_(language)
        assert words in reason and '550.54.14' in reason and 'Engine = svd' in reason
    # asked once, however often the page asks
    (tmp_path / 'bin' / 'nvidia-smi').unlink()
    assert svd.status().reason.key == 'engines.gpu_not_seen'


def test_without_a_card_the_engine_tells_what_it_always_did(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(budget, 'SMALL', 0)
    unseen_gpu.explain_for.cache_clear()
    svd = engine.StableVideo(Configuration(), lambda _configuration: checkpoint)
    assert svd.status().reason.key == 'engines.slow_processor'
