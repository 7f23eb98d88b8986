#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the Stable Video Diffusion engine does not compile, jobs that come meanwhile, and compilers and compiled code that
fail.

Libraries: pytest, torch, diffusers, numpy.
"""

import os
import subprocess
import sys
import threading
import venv
from pathlib import Path

import numpy
import pytest

from modules import errors
from modules.engines.diffusion import compiling, devices, ladder
from modules.engines.diffusion.budget import GIB
from modules.engines.stable_video import memory, warmup

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

from compiled import LANDSCAPE, PORTRAIT, forbid_eager, graphs, prepare, small  # noqa: E402
from tiny_svd import animate, loaded, photo, published, request  # noqa: E402

from modules.engines.stable_video.denoising import OneToken  # noqa: E402
from modules.progress import do_nothing  # noqa: E402

pytestmark = pytest.mark.usefixtures('compiled_on_a_processor')


def test_a_job_that_comes_is_not_kept_waiting_and_the_rest_is_done_later(uniform_checkpoint):
    engine = loaded(uniform_checkpoint)
    expected = animate(engine, photo(*PORTRAIT), request())
    asked = []

    def stop():
        asked.append(graphs())
        if graphs():
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        engine.prepare(stop)
    assert asked == [0, 0, 1], 'one layer, and not a layer more'
    for size in (LANDSCAPE, PORTRAIT):
        animate(engine, photo(*size), request())
        assert engine.settings(request())['UNet'] is False, 'a part of the layers is not enough'
    assert numpy.array_equal(animate(engine, photo(*PORTRAIT), request()), expected)
    prepare(engine)
    made = graphs()
    forbid_eager(engine)
    animate(engine, photo(*PORTRAIT), request())
    animate(engine, photo(*LANDSCAPE), request())
    prepare(engine)
    assert graphs() == made


def test_a_compiler_that_fails_is_left_alone(uniform_checkpoint, monkeypatch):
    tried = []

    def broken(graph, inputs):
        tried.append(graph)
        raise RuntimeError('no compiler here')

    engine = loaded(uniform_checkpoint)
    expected = animate(engine, photo(), request())
    monkeypatch.setattr(compiling, 'BACKEND', broken)
    with pytest.raises(Exception, match = 'no compiler here'):
        prepare(engine)
    prepare(engine)
    assert numpy.array_equal(animate(engine, photo(), request()), expected)
    assert len(tried) == 1 and engine.settings(request())['UNet'] is False


class Breaking:
    """A compiler whose code computes as written until it is told to break."""

    def __init__(self, error):
        self.error = error
        self.is_broken = False
        self.calls = 0

    def __call__(self, graph, inputs):

        def run(*given):
            self.calls += 1
            if self.is_broken:
                raise self.error
            return graph.forward(*given)

        return run


def test_code_that_breaks_fails_no_clip_and_is_not_used_again(uniform_checkpoint, monkeypatch,
                                                              caplog):
    engine = loaded(uniform_checkpoint, image_prompt_width = 64)
    compiler = Breaking(RuntimeError('a kernel is gone'))
    expected = animate(engine, photo(128, 128), request())
    monkeypatch.setattr(compiling, 'BACKEND', compiler)
    prepare(engine)

    def report(progress):
        compiler.is_broken |= progress.phase == 'step' and progress.step == 2

    difference = animate(engine, photo(128, 128), request(), report).astype(int) - expected
    assert compiler.is_broken and numpy.abs(difference).max() <= 1
    assert caplog.text.count(
        'Compiled code failed, and is not used any more: a kernel is gone') == 1
    called = compiler.calls
    assert numpy.array_equal(animate(engine, photo(128, 128), request()), expected)
    assert compiler.calls == called and engine.settings(request())['UNet'] is False


@pytest.mark.parametrize('error', [AssertionError('strides'), OSError('no such library')])
def test_whatever_code_breaks_with_the_clip_goes_on(monkeypatch, error):
    compiler = Breaking(error)
    monkeypatch.setattr(compiling, 'BACKEND', compiler)
    part, layers = small()
    with layers.compiling(do_nothing):
        part(torch.ones(1))
    compiler.is_broken = True
    assert part(torch.ones(1)).tolist() == [2] and layers.is_broken


def test_memory_that_ends_in_compiled_code_is_no_fault_of_the_compiler(monkeypatch):
    compiler = Breaking(torch.OutOfMemoryError('CUDA out of memory.'))
    monkeypatch.setattr(compiling, 'BACKEND', compiler)
    part, layers = small()
    with layers.compiling(do_nothing):
        part(torch.ones(1))
    compiler.is_broken = True
    with pytest.raises(torch.OutOfMemoryError):
        part(torch.ones(1))
    assert not layers.is_broken


def test_memory_that_ends_while_compiling_is_given_back_and_nothing_is_compiled(
        uniform_checkpoint, monkeypatch, caplog):
    tried, released = [], []

    def greedy(graph, inputs):
        tried.append(graph)
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 25 GiB')

    engine = loaded(uniform_checkpoint)
    expected = animate(engine, photo(), request())
    monkeypatch.setattr(compiling, 'BACKEND', greedy)
    monkeypatch.setattr(devices, 'empty_cache', lambda device: released.append(len(tried)))
    prepare(engine)
    prepare(engine)
    assert len(tried) == 1 and released == [0, 1]
    assert 'Nothing is compiled' in caplog.text and 'out of memory' in caplog.text.lower()
    assert numpy.array_equal(animate(engine, photo(), request()), expected)
    assert engine.settings(request())['UNet'] is False


def test_nothing_is_compiled_where_there_is_no_room_for_it(uniform_checkpoint, monkeypatch, caplog):
    engine = loaded(uniform_checkpoint, image_prompt_width = 64, decode_chunk_size = 5)
    sampler = engine.holder.model
    needs = sampler._read_needs(engine.model)
    wanted = memory.predict_peak(sampler.rung, needs, 5) + memory.OVERHEAD
    monkeypatch.setattr(sampler, 'read_available_memory', lambda needs: wanted - needs.frame)
    prepare(engine)
    assert 'The decoder is not compiled' in caplog.text and 'The UNet' not in caplog.text
    frames = animate(engine, photo(128, 128), request())
    assert engine.settings(request())['UNet'] is True and frames.std() > 1
    assert not sampler.placed.compilables[-1].was_compiled, 'the decoder'
    made = graphs()
    engine = loaded(uniform_checkpoint, image_prompt_width = 64)
    monkeypatch.setattr(engine.holder.model, 'read_available_memory',
                        lambda needs: needs.weights + memory.OVERHEAD)
    prepare(engine)
    prepare(engine)
    assert graphs() == made and caplog.text.count('The UNet is not compiled') == 1


@pytest.mark.parametrize(('gibibytes', 'chunk', 'compiled'), [(139, 25, 25), (80, 25, 25),
                                                              (32, 25, 0), (24, 5, 5), (15, 5, 5),
                                                              (14, 5, None)])
def test_what_is_compiled_on_gpus_of_all_sizes(tmp_path, gibibytes, chunk, compiled):
    needs = published(tmp_path)
    there = gibibytes * GIB
    assert warmup.choose_chunk(ladder.RUNGS[0], needs, chunk, there) == compiled


def test_what_another_thread_compiles_changes_no_clip(uniform_checkpoint):
    """While a compiler is at work, torch says so in every thread of the process."""
    unet = loaded(uniform_checkpoint).holder.model.placed.pipe.unet
    layer = next(layer for name, layer in unet.named_modules() if name.endswith('.attn2'))
    queries, context = torch.randn(2, 40, layer.query_dim), torch.randn(2, 1, 32)
    one_token = OneToken()
    expected, seen = one_token(layer, queries, context), []

    def backend(graph, inputs):

        def eager():
            one_token.cache = {}
            seen.append((torch.equal(one_token(layer, queries, context),
                                     expected), list(one_token.cache) == [layer]))

        beside = threading.Thread(target = eager)
        beside.start()
        beside.join()
        return graph.forward

    torch.compile(lambda number: number + 1, backend = backend)(torch.ones(1))
    assert seen == [(True, True)]


def test_weights_that_move_are_not_computed_with_by_compiled_code(uniform_checkpoint, monkeypatch):
    monkeypatch.setattr(ladder, 'rungs', lambda *_device: ladder.RUNGS)
    engine, seen = loaded(uniform_checkpoint, image_prompt_width = 64), []
    expected = animate(engine, photo(128, 128), request())
    prepare(engine)

    def report(progress):
        if progress.phase == 'step' and not seen:
            seen.append(progress)
            raise torch.OutOfMemoryError('CUDA out of memory.')

    assert numpy.array_equal(animate(engine, photo(128, 128), request(), report), expected)
    assert engine.settings(request())['UNet'] is False
    made = graphs()
    prepare(engine)
    assert graphs() == made


@pytest.mark.parametrize('options', [{'unet': False}, {'memory': 'offload'}])
def test_what_cannot_or_must_not_be_compiled_is_not(uniform_checkpoint, monkeypatch, options):
    monkeypatch.setattr(ladder, 'rungs', lambda *_device: ladder.RUNGS)
    prepare(loaded(uniform_checkpoint, **options))
    assert graphs() == 0


def test_where_there_is_no_compiler_nothing_is_compiled(uniform_checkpoint, monkeypatch):
    monkeypatch.undo()
    engine = loaded(uniform_checkpoint)
    prepare(engine)
    assert graphs() == 0


def cache_folders(python, elsewhere):
    """Where it keeps code when a function was compiled, and where it does when the environment names a place."""
    code = f'''
import os, sys
sys.path[1:1] = [{str(Path(__file__).parents[3])!r}] + {sys.path!r}
from modules.progress import do_nothing
from modules.engines.diffusion import compiling
compiling.BACKEND = 'eager'
import torch
class SpatioTemporalResBlock(torch.nn.Module):
    def forward(self, number):
        return number + 1
def compile_once():
    layer = SpatioTemporalResBlock()
    layers = compiling.Layers(layer, kinds = ['SpatioTemporalResBlock'])
    with layers.compiling(do_nothing):
        compiling.Compilable(layer, layers)(torch.ones(1))
    from torch._inductor.codecache import cache_dir
    print(cache_dir())
compile_once()
os.environ['TORCHINDUCTOR_CACHE_DIR'] = {str(elsewhere)!r}
compile_once()
'''
    usual = {name: value for name, value in os.environ.items() if name != 'TORCHINDUCTOR_CACHE_DIR'}
    done = subprocess.run([python, '-c', code],
                          env = usual,
                          capture_output = True,
                          text = True,
                          check = True)
    return [Path(line) for line in done.stdout.splitlines()]


def test_compiled_code_stays_with_the_libraries_it_was_made_by(tmp_path):
    venv.create(tmp_path / 'own', symlinks = True)
    python = next((tmp_path / 'own').glob('[bB]*/python*'))
    elsewhere = tmp_path / 'elsewhere'
    assert cache_folders(python, elsewhere) == [tmp_path / 'own' / 'compiled', elsewhere]
