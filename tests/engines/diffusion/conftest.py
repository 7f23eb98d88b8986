#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What tests of compiling share.

Libraries: pytest, torch.
"""

import pytest
import tiny_checkpoint

from modules.engines.diffusion import compiling, toolchain


@pytest.fixture(scope = 'session')
def uniform_checkpoint(tmp_path_factory):
    """A model whose layers have few different shapes: the compiler's tracing takes a moment for each of them."""
    return tiny_checkpoint.make(tmp_path_factory.mktemp('uniform'), levels = 1)


@pytest.fixture
def compiled_on_a_processor(monkeypatch):
    """As on a GPU."""
    monkeypatch.setattr(toolchain, 'can_compile', lambda device: True)
    monkeypatch.setattr(compiling, 'BACKEND', 'eager')
    import torch
    from torch._dynamo import guards
    from torch._dynamo.utils import counters
    # it only measures, with all caches of the processor emptied before
    monkeypatch.setattr(guards, 'profile_guard_manager', lambda *given: 0.0, raising = False)
    torch._dynamo.reset()
    counters.clear()
