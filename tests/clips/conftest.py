#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Files of this folder ask exiftool so often that one stays for all that a file asks.

Libraries: pytest.
"""

import judges
import pytest


@pytest.fixture(scope = 'module', autouse = True)
def exiftool_stays():
    """It starts once."""
    with judges.exiftool_waiting():
        yield
