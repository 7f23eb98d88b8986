#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A GPU's memory as it is: what is free, how torch is told to hand it out, where it ends, and how running out of it is
recognised.

Libraries: pytest, torch.
"""

import os
import sys
import types

import pytest

from modules.engines.diffusion import allocator, devices, faults, ladder
from modules.engines.diffusion.budget import GIB
from modules.engines.stable_video import memory

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

from tiny_svd import published  # noqa: E402

RESIDENT = ladder.RUNGS[0]


class Card:
    """What is asked of ``torch.cuda``, with GiB for bytes."""

    def __init__(self, total, others = 0.0, reserved = 0.0, allocated = 0.0):
        self.total, self.others = total, others
        self.reserved, self.allocated = reserved, allocated
        self.fraction = None
        self.settings = []
        self.memory = types.SimpleNamespace(_set_allocator_settings = self.settings.append)

    def mem_get_info(self, _device):
        return int((self.total - self.others - self.reserved) * GIB), int(self.total * GIB)

    def memory_reserved(self, _device):
        return int(self.reserved * GIB)

    def memory_allocated(self, _device):
        return int(self.allocated * GIB)

    def set_per_process_memory_fraction(self, fraction, _device):
        self.fraction = fraction


def torch_with(card, empty = lambda *_size, **_options: None, version = '2.13.0', cudnn = None):
    return types.SimpleNamespace(
        __version__ = version,
        cuda = card,
        empty = empty,
        version = types.SimpleNamespace(hip = None),
        backends = types.SimpleNamespace(cudnn = types.SimpleNamespace(version = lambda: cudnn)),
        OutOfMemoryError = torch.OutOfMemoryError)


def test_what_torch_keeps_for_later_counts_as_free():
    card = Card(16, others = 1, reserved = 13, allocated = 4)
    assert devices.read_free_memory('cuda:0', torch_with(card)) == 11 * GIB


def test_a_card_of_16_gibibytes_decodes_five_frames_at_once_after_denoising(tmp_path, monkeypatch):
    """Colab's T4, with what denoising has left in torch's hands."""
    card = Card(14.6, reserved = 13.4, allocated = 4.3)
    monkeypatch.setitem(sys.modules, 'torch', torch_with(card))
    needs = published(tmp_path)
    there = devices.read_usable_memory('cuda:0', needs.weights)
    assert memory.choose_chunk(RESIDENT, needs, 25, there) == 5


@pytest.mark.parametrize(('gibibytes', 'grows', 'rung'), [
    (15.4, False, 'resident'),
    (15.4, True, 'resident'),
    (12, True, 'chunked'),
    (11.4, False, 'chunked'),
    (7.4, False, 'split'),
    (7.4, True, 'split'),
    (6.6, False, 'streamed'),
])
def test_a_rung_leaves_room_for_gaps_between_tensors(tmp_path, monkeypatch, gibibytes, grows, rung):
    """Those measured: on 12 GiB a clip in turns ran out of memory, with either kind of segments."""
    monkeypatch.setattr(os, 'environ', {allocator.VARIABLES[0]: allocator.settings(None, grows)})
    needs = memory.adjust(published(tmp_path), 'cuda:0', True)
    assert memory.choose_rung('cuda:0', needs, int(gibibytes * GIB)).name == rung


@pytest.mark.parametrize('words', [
    'CUDA out of memory. Tried to allocate 2.00 GiB',
    'CUDA driver error: out of memory',
    'CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`',
    'CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`',
    'cuDNN error: CUDNN_STATUS_ALLOC_FAILED',
    'CUDA error: HIPBLAS_STATUS_ALLOC_FAILED when calling `hipblasCreate(handle)`',
    'GET was unable to find an engine to execute this computation',
    'Invalid buffer size: 39.55 GiB',
    'Failed to allocate private MTLBuffer for size 4294967296',
])
def test_every_way_to_run_out_of_memory_is_recognised(words):
    assert faults.is_out_of_memory(RuntimeError(words))


@pytest.mark.parametrize('error', [
    RuntimeError('CUDA error: no kernel image is available for execution on the device'),
    RuntimeError('CUDA error: an illegal memory access was encountered'),
    RuntimeError(
        'CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasSetStream(handle)`'),
    RuntimeError('CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`'),
    RuntimeError('cuDNN error: CUDNN_STATUS_NOT_INITIALIZED'),
    ValueError('Invalid buffer size'),
])
def test_nothing_else_is(error):
    assert not faults.is_out_of_memory(error)


@pytest.mark.parametrize(('platform', 'drivers', 'can'), [
    ('linux', ['nvidiactl'], True),
    ('linux', ['nvidiactl', 'kfd'], True),
    ('linux', [], True),
    ('linux', ['kfd'], False),
    ('linux', ['dxg'], False),
    ('win32', [], False),
    ('darwin', [], False),
])
def test_segments_grow_with_the_drivers_that_can_do_it(tmp_path, platform, drivers, can):
    for driver in drivers:
        (tmp_path / driver).touch()
    assert allocator.can_grow(platform, tmp_path) is can


def test_windows_has_no_expandable_segments():
    assert allocator.settings(64, False) == 'max_split_size_mb:64'
    assert allocator.settings(None, False) == ''


@pytest.mark.parametrize('name', allocator.VARIABLES)
@pytest.mark.parametrize('value', ['backend:native', ''])
def test_what_the_environment_says_of_the_allocator_stays(name, value):
    environment = {name: value}
    allocator.prepare(environment, 64)
    assert environment == {name: value} and not allocator.grows(environment)


def test_the_first_variable_is_the_one_that_torch_heeds():
    assert allocator.grows({'PYTORCH_ALLOC_CONF': 'a:1, expandable_segments : True'})
    assert not allocator.grows({
        'PYTORCH_CUDA_ALLOC_CONF': 'backend:native',
        'PYTORCH_ALLOC_CONF': allocator.GROWING
    })


def test_torch_reads_what_is_written():
    """By its own parser of these settings, in the build that is here."""
    read = getattr(torch._C, '_accelerator_setAllocatorSettings', None)
    if read is None:
        pytest.skip('only newer versions read them without a GPU')
    read(allocator.settings(64, True))
    with pytest.raises((RuntimeError, ValueError)):
        read(allocator.settings(64, True).replace('True', 'Yes'))


def test_memory_ends_on_windows_where_the_card_ends(monkeypatch):
    """Other programs have 2 GiB, this one has 1; a quarter is left to what is no tensor."""
    card = Card(8, others = 2, reserved = 1)
    monkeypatch.setattr(os, 'environ', {})
    monkeypatch.setattr(sys, 'platform', 'linux')
    devices.prepare_memory('cuda:0', torch_with(card))
    assert card.fraction is None
    monkeypatch.setattr(sys, 'platform', 'win32')
    devices.prepare_memory('cuda:0', torch_with(card))
    assert card.fraction == pytest.approx(5.75 / 8)


@pytest.mark.parametrize(('words', 'stay'), [('CUDA driver error: operation not supported', False),
                                             ('CUDA driver error: out of memory', True)])
def test_segments_stop_growing_where_the_driver_cannot_do_it(monkeypatch, words, stay):

    def refuse(*_size, **_options):
        raise RuntimeError(words)

    card = Card(8)
    monkeypatch.setattr(os, 'environ', {allocator.VARIABLES[0]: allocator.GROWING})
    devices.prepare_memory('cuda:0', torch_with(card, refuse))
    assert allocator.grows(os.environ) is stay
    assert card.settings == ([] if stay else ['expandable_segments:False'])


@pytest.mark.parametrize(('version', 'cudnn', 'is_around'), [
    ('2.13.0+cu126', 91002, True),
    ('2.9.1', 91400, True),
    ('2.9.1', 91500, False),
    ('2.9.0+cu128', 91500, True),
    ('2.11.0a0+gitabc', 91900, False),
    ('2.8.0', 90800, False),
    ('2.10.0', 90701, False),
    ('2.13.0+cpu', None, False),
])
def test_decoding_is_foretold_to_need_an_eighth_more_where_torch_goes_around_cudnn(
        tmp_path, monkeypatch, version, cudnn, is_around):
    """That many columns are made of a convolution's input; 0.7 GiB were measured with five frames."""
    needs = published(tmp_path)
    monkeypatch.setitem(sys.modules, 'torch', torch_with(Card(8), version = version, cudnn = cudnn))
    more = memory.adjust(needs, 'cuda:0', True).frame - needs.frame
    assert more == (needs.frame // 8 if is_around else 0)
    assert 5 * more == pytest.approx(0.7 * GIB * is_around, rel = 0.02)
    assert memory.adjust(needs, 'cuda:0', False).frame == needs.frame
