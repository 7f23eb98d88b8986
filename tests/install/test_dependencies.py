#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the launcher asks pip for, and when it sees a GPU.

Libraries: pytest.
"""

import functools
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import small_program

from modules.configuration import InstallationOptions
from modules.install import dependencies
from modules.install.environment import Failure

ROOT = Path(__file__).resolve().parents[2]
CORE, SVD, DEVELOPMENT = (ROOT / f'requirements{part}.txt' for part in ('-core', '', '-dev'))
PLAIN = InstallationOptions()


@pytest.fixture
def requirements(tmp_path):
    """Two files, one including the other."""
    (tmp_path / 'core.txt').write_text('# why\nflask>=3,<4\nPillow-heif==1 # why\n')
    (tmp_path / 'all.txt').write_text('-r core.txt\ntorch>=2\n')
    return tmp_path / 'all.txt'


def test_finds_included_files_and_every_name(requirements):
    assert dependencies.list_files(requirements) == [
        requirements, requirements.with_name('core.txt')
    ]
    assert dependencies.read_names(requirements) == ['torch', 'flask', 'Pillow-heif']


def test_the_fingerprint_changes_with_an_included_file(requirements):
    before = dependencies.compute_fingerprint(requirements, PLAIN)
    assert dependencies.compute_fingerprint(requirements, PLAIN) == before
    requirements.with_name('core.txt').write_text('flask>=3.1,<4\n')
    assert dependencies.compute_fingerprint(requirements, PLAIN) != before


def test_the_fingerprint_changes_with_the_index_that_matters(requirements):
    pytorch = InstallationOptions(pytorch_index_url = 'https://pytorch.example/cu128')
    core = requirements.with_name('core.txt')
    assert dependencies.compute_fingerprint(requirements,
                                            pytorch) != dependencies.compute_fingerprint(
                                                requirements, PLAIN)
    assert dependencies.compute_fingerprint(core, pytorch) == dependencies.compute_fingerprint(
        core, PLAIN)


def test_leaves_the_index_to_pip_when_none_is_set():
    assert dependencies.make_index_arguments(SVD, PLAIN) == []


def test_names_the_mirror_always_and_the_index_of_pytorch_only_with_torch():
    both = InstallationOptions('https://pytorch.example/', 'https://mirror.example/simple')
    mirror = ['--index-url', 'https://mirror.example/simple']
    assert dependencies.make_index_arguments(CORE, both) == mirror
    assert dependencies.make_index_arguments(
        SVD, both) == [*mirror, '--extra-index-url', 'https://pytorch.example/']


def wheel(folder, name, version, needs = ''):
    """A library of one empty module."""
    folder.mkdir(parents = True, exist_ok = True)
    info = f'{name}-{version}.dist-info'
    with zipfile.ZipFile(folder / f'{name}-{version}-py3-none-any.whl', 'w') as made:
        made.writestr(f'{name}.py', '')
        requires = f'Requires-Dist: {needs}\n' if needs else ''
        made.writestr(f'{info}/METADATA',
                      f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}')
        made.writestr(f'{info}/WHEEL',
                      'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        made.writestr(f'{info}/RECORD', f'{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n')


@pytest.fixture
def two_indexes(tmp_path, monkeypatch):
    """pip's own index has the newest PyTorch; the one for a GPU has an older one, and a library only it has."""
    wheel(tmp_path / 'own' / 'torch', 'torch', '2.13.0', 'common')
    wheel(tmp_path / 'own' / 'common', 'common', '1')
    for build, version in (('cu118', '2.7.1'), ('cu128', '2.10.0')):
        wheel(tmp_path / build / 'torch', 'torch', f'{version}+{build}', 'for_gpus')
        wheel(tmp_path / build / 'for-gpus', 'for_gpus', '1', 'common')
    for name in [name for name in os.environ if name.startswith('PIP_')]:
        monkeypatch.delenv(name)
    monkeypatch.setenv('PIP_CONFIG_FILE', os.devnull)
    monkeypatch.setenv('PIP_DISABLE_PIP_VERSION_CHECK', '1')
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0),
                                             functools.partial(Quiet, directory = str(tmp_path)))
    threading.Thread(target = server.serve_forever, daemon = True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_):
        pass


def test_the_build_for_the_gpu_is_taken_although_pips_own_index_has_a_newer_one(
        tmp_path, two_indexes, bare_environment):
    small_program.copy_environment(bare_environment, tmp_path / 'venv')
    python = tmp_path / 'venv' / 'bin' / 'python'
    (tmp_path / 'all.txt').write_text('torch>=2.6,<=2.13.0  # why\n')

    def installed(build):
        options = InstallationOptions(f'{two_indexes}/{build}' if build else '',
                                      f'{two_indexes}/own')
        dependencies.install(python, tmp_path / 'all.txt', options)
        listed = subprocess.run([python, '-m', 'pip', 'freeze', '--all'],
                                capture_output = True,
                                text = True,
                                check = True).stdout
        return sorted(
            set(listed.split()) & {
                'torch==2.13.0', 'torch==2.7.1+cu118', 'torch==2.10.0+cu128', 'common==1',
                'for_gpus==1'
            })

    assert installed('') == ['common==1', 'torch==2.13.0']
    # what is there already, for no GPU or for another one, is replaced
    assert installed('cu128') == ['common==1', 'for_gpus==1', 'torch==2.10.0+cu128']
    assert installed('cu118') == ['common==1', 'for_gpus==1', 'torch==2.7.1+cu118']
    again = dependencies.make_commands(python, tmp_path / 'all.txt',
                                       InstallationOptions(f'{two_indexes}/cu118/', ''))
    assert '--force-reinstall' not in again[0]


def test_serving_and_camera_motion_need_no_torch():
    core = dependencies.read_names(CORE)
    assert 'flask' in core and not {'torch', 'diffusers', 'transformers', 'accelerate'} & set(core)
    assert set(core) < set(dependencies.read_names(SVD)) < set(dependencies.read_names(DEVELOPMENT))


@pytest.mark.parametrize('path', [CORE, SVD, DEVELOPMENT])
def test_every_requirement_has_an_upper_end(path):
    lines = [line for line in path.read_text().splitlines() if line[:1].isalpha()]
    assert lines and all('<' in line or '==' in line for line in lines)


def test_finds_what_is_missing(tmp_path):
    (tmp_path / 'some.txt').write_text('pytest>=1\nNo_Such-Thing\n')
    assert dependencies.find_missing(tmp_path / 'some.txt') == ['No_Such-Thing']


def test_installs_from_the_mirror_of_the_ini(tmp_path, capfd, index):
    target = tmp_path / 'requirements.txt'
    target.write_text('tiny\n')
    with pytest.raises(Failure) as failure:
        dependencies.install(
            Path(sys.executable), target,
            InstallationOptions(pip_mirror_url = 'http://127.0.0.1:9/simple'))
    assert failure.value.status == 1 and failure.value.words.values['file'] == 'requirements.txt'
    assert 'http://127.0.0.1:9/simple' in capfd.readouterr().out


@pytest.fixture
def index(monkeypatch):
    """A pip that gives up at once."""
    monkeypatch.setenv('PIP_RETRIES', '0')
    monkeypatch.setenv('PIP_TIMEOUT', '1')
    monkeypatch.delenv('PIP_NO_INDEX', raising = False)


def test_sees_no_gpu_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert not dependencies.sees_gpu(tmp_path)


@pytest.mark.parametrize('path', ['proc/driver/nvidia/gpus/0000:01:00.0', 'dev/kfd'])
def test_sees_a_gpu_by_its_driver(tmp_path, monkeypatch, path):
    monkeypatch.setenv('PATH', str(tmp_path))
    (tmp_path / path).mkdir(parents = True)
    assert dependencies.sees_gpu(tmp_path)


@pytest.mark.parametrize('says, seen', [
    ('echo "GPU 0: NVIDIA H200 (UUID: GPU-1)"', True),
    ('echo "NVIDIA-SMI has failed"; exit 9', False),
    ('echo "No devices found."', False),
])
def test_believes_nvidia_smi_only_when_it_names_a_gpu(tmp_path, monkeypatch, says, seen):
    tool = tmp_path / 'nvidia-smi'
    tool.write_text(f'#!/bin/sh\n{says}\n')
    tool.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    assert dependencies.sees_gpu(tmp_path / 'nothing') == seen
