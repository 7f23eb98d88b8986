#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What tests of engines share: a tiny checkpoint, made once.

Libraries: pytest.
"""

import pytest
import tiny_checkpoint


@pytest.fixture(scope = 'session')
def checkpoint(tmp_path_factory):
    """Stable Video Diffusion in small, with half-precision files; tests leave it as it is."""
    return tiny_checkpoint.make(tmp_path_factory.mktemp('checkpoint'))
