#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The benchmarks of Stable Video Diffusion as they run on a GPU, run here: with a small model, a compiler that leaves code
as it is, and an allocator that is pretended. So a first run on a real GPU finds no line that was never run.

Libraries: pytest, torch, diffusers.
"""

import re
import sys
from pathlib import Path

import pytest

from modules.configuration import ModelOptions
from modules.engines.diffusion import compiling

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

sys.path.append(str(Path(__file__).resolve().parents[3] / 'bench'))

import ladder_gpu  # noqa: E402
import svd  # noqa: E402
import tiny_checkpoint  # noqa: E402

SMALL = ['64x64', '4', '2', '64', '1']


@pytest.fixture
def gpu(monkeypatch):
    """Its allocator: what it was told, and what it tells."""
    fractions = []
    # tracing takes minutes, and tests of its own show that
    monkeypatch.setattr(compiling, '_make_compiled', lambda written: written)
    monkeypatch.setattr(svd, 'make_checkpoint',
                        lambda folder, channels: tiny_checkpoint.make(folder))
    for name, answer in (('get_device_name', 'A Card 3000'), ('synchronize', None),
                         ('reset_peak_memory_stats', None), ('mem_get_info', (2**34, 2**35)),
                         ('max_memory_allocated', 5 * 2**30), ('max_memory_reserved', 6 * 2**30)):
        monkeypatch.setattr(torch.cuda, name, lambda answer = answer: answer)
    monkeypatch.setattr(torch.cuda, 'set_per_process_memory_fraction', fractions.append)
    return fractions


def rows(printed):
    """The name of each row of a table → its columns."""
    found = re.findall(r'^(\S.{33}) +(\S+) +(\S+) +(\S+) +(\S+) +(\S.*\S) +(\S+)$', printed, re.M)
    return {name.strip(): columns for name, *columns in found}


def test_the_whole_table_of_a_gpu_comes_out(gpu, capsys):
    svd.main(svd.parse([*SMALL, '--seconds', '1e6', '--rungs']), is_gpu = True)
    printed = capsys.readouterr().out
    table = rows(printed)
    assert list(table) == [
        'plain diffusers, chunk 4', 'quality, not compiled', 'draft, not compiled',
        'quality, compiled', 'balanced, compiled', 'fast, compiled', 'split, 8 GiB, 3 steps',
        'streamed, 6 GiB, 3 steps'
    ]
    assert table['quality, not compiled'][-1] == 'equal' and table['quality, compiled'][3] == '-'
    assert float(table['plain diffusers, chunk 4'][3]) > 0
    assert {columns[4] for columns in table.values()} == {'5.00 / 6.00'}
    assert table['split, 8 GiB, 3 steps'][2] == '-'
    assert re.search(r'compiling: [\d.]+ s, \d+ graphs, peak GiB 5.00 / 6.00\n', printed)
    assert gpu == [pytest.approx(7.4 / 32), pytest.approx(5.4 / 32)]
    assert 'left out' not in printed and 'A Card 3000' in printed


def test_what_there_is_no_time_for_is_named_and_the_rest_is_told(gpu, capsys):
    svd.main(svd.parse([*SMALL, '--seconds', '0', '--rungs']), is_gpu = True)
    printed = capsys.readouterr().out
    assert list(rows(printed)) == [
        'plain diffusers, chunk 4', 'quality, not compiled', 'draft, not compiled'
    ]
    for name in ('plain diffusers, chunk 4, run 1', 'compiled code', 'split, 8 GiB, 3 steps'):
        assert f'left out, no time: {name}\n' in printed


def test_the_ladder_of_a_gpu_comes_out(gpu, capsys):
    model = ModelOptions(
        image_prompt_width = 64, image_prompt_height = 64, output_frames = 4, inference_steps = 3)
    ladder_gpu.main([24, 6], model)
    printed = capsys.readouterr().out.splitlines()
    assert 'A Card 3000' in printed[0] and len(printed) == 4
    assert [line.split()[:4] for line in printed[2:]] == [[size, 'GiB', 'resident', '4']
                                                          for size in ('24', '6')]
    assert gpu == [pytest.approx(23.4 / 32), pytest.approx(5.4 / 32)]
