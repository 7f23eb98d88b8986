#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What tests of engines share: a tiny checkpoint, made once, and threads that do not wait for each other.

Libraries: pytest, torch.
"""

import pytest
import tiny_checkpoint
import torch


@pytest.fixture(scope = 'module', autouse = True)
def one_thread():
    """Threads that wait for each other on a busy machine take longer than work as small as this."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope = 'session')
def checkpoint(tmp_path_factory):
    """Stable Video Diffusion in small, with half-precision files; tests leave it as it is."""
    return tiny_checkpoint.make(tmp_path_factory.mktemp('checkpoint'))
