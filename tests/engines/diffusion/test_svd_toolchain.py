#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a compiler for GPUs needs: where something is missing, nothing is compiled, and the log and ``doctor`` tell why.

Libraries: pytest; torch and diffusers for an engine.
"""

import logging
import os
import subprocess
import sys
import sysconfig
import types
from pathlib import Path

import pytest

from modules import i18n
from modules.commands import doctor
from modules.configuration import Configuration, ModelOptions
from modules.engines.diffusion import devices, toolchain
from modules.engines.registry import Engines


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with triton, a C compiler and Python's headers, of which tests take something away."""
    folders = types.SimpleNamespace(
        libraries = tmp_path / 'libraries',
        programs = tmp_path / 'bin',
        headers = tmp_path / 'include')
    (folders.libraries / 'triton').mkdir(parents = True)
    (folders.libraries / 'triton' / '__init__.py').touch()
    folders.programs.mkdir()
    compiler = folders.programs / 'gcc'
    compiler.touch(0o755)
    folders.headers.mkdir()
    (folders.headers / 'Python.h').touch()
    monkeypatch.syspath_prepend(folders.libraries)
    monkeypatch.setenv('PATH', str(folders.programs))
    for name in ('CC', 'CPATH', 'C_INCLUDE_PATH'):
        monkeypatch.delenv(name, raising = False)
    monkeypatch.setattr(sysconfig, 'get_path', lambda name, scheme = '': str(folders.headers))
    toolchain.warn.cache_clear()
    return folders


def missing_reason():
    reason = toolchain.explain_missing()
    return reason and reason.in_('en')


def test_where_all_is_there_a_gpu_is_compiled_for(machine):
    assert toolchain.explain_missing() is None
    assert toolchain.can_compile('cuda:1') and not toolchain.can_compile('cpu')


def test_without_a_compiler_the_way_out_is_told(machine, monkeypatch):
    (machine.programs / 'gcc').unlink()
    headers = f'python3.{sys.version_info.minor}-dev'
    assert f'gcc is missing. On Debian and Ubuntu: sudo apt install build-essential {headers}' in missing_reason(
    )
    (machine.programs / 'clang').touch(0o755)
    assert missing_reason() is None
    monkeypatch.setenv('CC', 'one-that-is-not-there')
    assert 'one-that-is-not-there is missing' in missing_reason()


def test_without_headers_the_way_out_is_told(machine, monkeypatch):
    header = machine.headers / 'Python.h'
    header.rename(machine.programs / 'Python.h')
    assert 'Python.h is missing' in missing_reason()
    monkeypatch.setenv('CPATH', os.pathsep.join(['', str(machine.programs)]))
    assert missing_reason() is None
    (machine.programs / 'gcc').unlink()
    monkeypatch.delenv('CPATH')
    assert 'gcc, Python.h is missing' in missing_reason()


def test_without_triton_the_library_is_named(machine, monkeypatch):
    (machine.libraries / 'triton' / '__init__.py').unlink()
    (machine.libraries / 'triton').rmdir()
    assert 'pip install triton)' in missing_reason()
    monkeypatch.setattr(sys, 'platform', 'win32')
    assert 'pip install triton-windows)' in missing_reason()


def test_the_compiler_that_triton_brings_to_windows_suffices(machine, monkeypatch):
    (machine.programs / 'gcc').unlink()
    (machine.headers / 'Python.h').unlink()
    monkeypatch.setattr(toolchain, 'BUNDLED', Path('tcc.exe'))
    (machine.headers / 'tcc.exe').touch()
    assert missing_reason() is None


def test_this_machine_is_judged_as_its_compiler_judges_it(tmp_path):
    """An extension as small as can be is built, or not."""
    source = tmp_path / 'small.c'
    source.write_text('#include <Python.h>\nint main(void) { return PY_MAJOR_VERSION - 3; }\n')
    command = [
        os.environ.get('CC', 'cc'), '-fsyntax-only', f'-I{sysconfig.get_path("include")}',
        str(source)
    ]
    try:
        can = subprocess.run(command, capture_output = True, check = False).returncode == 0
    except FileNotFoundError:
        can = False
    assert (toolchain.missing_tools() == []) is can


def test_the_log_tells_it_once_for_all_gpus(machine, caplog):
    (machine.programs / 'gcc').unlink()
    with caplog.at_level(logging.WARNING):
        assert not any(toolchain.can_compile(f'cuda:{number}') for number in range(3))
    assert caplog.text.count('gcc is missing') == 1


@pytest.mark.parametrize(('capability', 'hip', 'can'), [
    ((6, 1), None, False),
    ((7, 0), None, True),
    ((6, 1), '7.2.53211', True),
])
def test_a_card_that_triton_does_not_know_is_not_compiled_for(machine, monkeypatch, caplog,
                                                              capability, hip, can):
    torch = pytest.importorskip('torch')
    monkeypatch.setattr(torch.version, 'hip', hip)
    for name, answer in (('is_available', True), ('get_device_capability', capability),
                         ('get_device_name', 'A Card 1080')):
        monkeypatch.setattr(torch.cuda, name, lambda *_device, answer = answer: answer)
    with caplog.at_level(logging.WARNING):
        assert toolchain.can_compile('cuda:0') is can
    assert ('triton does not support A Card 1080' in caplog.text) is not can


@pytest.mark.parametrize('language', i18n.LANGUAGES)
def test_doctor_tells_whether_a_gpu_can_be_compiled_for(machine, monkeypatch, language):
    monkeypatch.setattr(devices, 'guess_kind', lambda option: 'cuda')
    monkeypatch.setattr(devices, 'describe', lambda option: 'cuda:0')
    monkeypatch.setattr(doctor, 'version', lambda library: '2.13.0')
    words = i18n.words(language)['doctor']

    def line(**options):
        configuration = Configuration(model = ModelOptions(engine = 'camera', **options))
        return dict(doctor.report(configuration, Engines(configuration),
                                  language)).get(words['compiling'])

    assert line() == words['works']
    (machine.programs / 'gcc').unlink()
    assert 'build-essential' in line().in_(language)
    assert line(unet = False) is None
    monkeypatch.setattr(devices, 'guess_kind', lambda option: 'cpu')
    assert line() is None
