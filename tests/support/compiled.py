#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What tests ask of an engine that compiles, with the compiler's tracing and none of its code. Not a test itself.

Libraries: pytest, torch.
"""

import pytest
import torch
from torch._dynamo.utils import counters

from modules.engines.diffusion import compiling

LANDSCAPE, PORTRAIT = (256, 128), (128, 256)


def graphs():
    return counters['stats']['unique_graphs']


def prepare(engine):
    engine.prepare(lambda: None)


def forbid_eager(engine):

    def forbidden(*given, **options):
        pytest.fail('computed as written')

    for layer in engine.holder.model.placed.layers.all:
        layer.original = forbidden


def record_shapes(monkeypatch):
    """Have layers computed as written where they would be by compiled code, and what would be compiled anew counted."""

    def make_recorded(written):

        def run(*inputs, **options):
            wanted = describe((type(written.__self__), inputs, options))
            counters['stats']['unique_graphs'] += wanted not in known
            known.add(wanted)
            return written(*inputs, **options)

        return run

    known = set()
    monkeypatch.setattr(compiling, '_make_compiled', make_recorded)


def describe(value):
    """What code is compiled for: of tensors all but their numbers."""
    if isinstance(value, torch.Tensor):
        return value.shape, value.stride(), value.dtype, value.device, value.requires_grad
    if isinstance(value, (tuple, list)):
        return tuple(map(describe, value))
    return describe(sorted(value.items())) if isinstance(value, dict) else value


class SpatioTemporalResBlock(torch.nn.Module):
    """A layer that adds one, by the name of layers that are compiled."""

    def forward(self, numbers):
        return numbers + 1


def small(layer = None):
    """What computes with one such layer, and the layers."""
    layer = layer or SpatioTemporalResBlock()
    layers = compiling.Layers(layer, kinds = ['SpatioTemporalResBlock'])
    return compiling.Compilable(lambda numbers: layer(numbers), layers), layers
