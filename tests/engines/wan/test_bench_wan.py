#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The benchmark of Wan as it runs on a GPU, run here with small models and an allocator that is pretended.

Libraries: pytest, torch, diffusers.
"""

import re
import sys
from pathlib import Path

import pytest

from modules.engines.wan.options import WanOptions

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

sys.path.append(str(Path(__file__).resolve().parents[3] / 'bench'))

import published_wan  # noqa: E402
import wan  # noqa: E402

SMALL = ['96x64', '5', '3', '1', '1']


@pytest.fixture
def gpu(monkeypatch):
    """Its allocator, and a published model that is small."""
    for name, answer in (('get_device_name',
                          'A Card 3000'), ('synchronize', None), ('reset_peak_memory_stats', None),
                         ('max_memory_allocated', 5 * 2**30), ('max_memory_reserved', 6 * 2**30)):
        monkeypatch.setattr(torch.cuda, name, lambda answer = answer: answer)
    monkeypatch.setattr(wan, 'DEVICE', 'cpu')
    weights, _transformer, vae = published_wan.PUBLISHED['small']
    sides = {'num_attention_heads': 2, 'attention_head_dim': 12, 'num_layers': 2, 'ffn_dim': 32}
    transformer = {**sides, 'in_channels': 48, 'out_channels': 48, 'freq_dim': 16}
    vae = {**vae, 'base_dim': 8, 'decoder_base_dim': 8, 'num_res_blocks': 1}
    monkeypatch.setitem(published_wan.PUBLISHED, 'small', (weights, transformer, vae))


def rows(printed):
    """The name of each row of a table → its columns."""
    found = re.findall(r'^(\S.{33}) +(\S+) +(\S+) +(\S+) +(\S+) +(\S.*\S) +(\S+)$', printed, re.M)
    return {name.strip(): columns for name, *columns in found}


OTHERS = ['quality, Memory = offload', 'quality, Memory = streamed', 'quality, tiles']


@pytest.mark.parametrize(('words', 'others'), [(['large', *SMALL], [*OTHERS, 'quality, few steps']),
                                               (['small', *SMALL, '--full'], OTHERS)])
def test_the_whole_table_of_a_gpu_comes_out(gpu, capsys, words, others):
    wan.main(wan.parse([*words, '--seconds', '1e6']), is_gpu = True)
    printed = capsys.readouterr().out
    table = rows(printed)
    assert list(table) == ['plain diffusers', 'quality', 'draft', *others]
    assert 'A Card 3000' in printed and 'left out' not in printed
    assert {columns[4] for columns in table.values()} == {'5.00 / 6.00'}
    assert [table[name][5] for name in ('plain diffusers', 'quality', *OTHERS)] == ['equal'] * 5


def test_what_the_published_model_takes_is_counted_without_numbers(gpu, capsys, monkeypatch):
    monkeypatch.setattr(wan, 'WanOptions', lambda: WanOptions(frames = 9))
    wan.main(wan.parse(['small', '--count']), is_gpu = False)
    printed = capsys.readouterr().out
    assert '9 frames of 1248x704, 50 steps, 2 passes each' in printed
    assert re.search(r'TFLOP: [.\d]+ a step, .* a clip\n', printed)
    assert [line.split()[0] for line in printed.splitlines()
            if 'predicted ' in line] == ['resident', 'offload', 'streamed', 'single']
    assert ' 24 GiB: ' in printed
