#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What tests of compiling share.

Libraries: pytest, torch.
"""

import pytest

from modules.engines.diffusion import compiling, toolchain


@pytest.fixture
def compiled_on_a_processor(monkeypatch):
    """As on a GPU."""
    monkeypatch.setattr(toolchain, 'can_compile', lambda device: True)
    monkeypatch.setattr(compiling, 'BACKEND', 'eager')
    import torch
    from torch._dynamo.utils import counters
    torch._dynamo.reset()
    counters.clear()
