#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What is added to a Python that others have furnished, with the real pip.

Libraries: pytest, torch (which must stay).
"""

import importlib.metadata
import os

import pytest
import small_program

from modules.configuration import InstallationOptions
from modules.install import additions
from modules.install.environment import Failure


@pytest.fixture
def trying(tmp_path, monkeypatch):
    """pip, which looks into a folder alone and only says what it would do."""
    settings = {
        'PIP_DRY_RUN': '1',
        'PIP_NO_INDEX': '1',
        'PIP_FIND_LINKS': str(tmp_path),
        'PIP_CONFIG_FILE': os.devnull
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_what_lacks_is_added(trying):
    small_program.make_wheel(trying, 'newcomer')
    additions.install_missing(['newcomer>=1'], InstallationOptions())


def test_what_is_there_is_never_replaced(trying):
    """Left alone, pip would bring this newcomer a newer PyTorch."""
    small_program.make_wheel(trying, 'newcomer', requires = 'torch>=99')
    small_program.make_wheel(trying, 'torch', version = '99')
    with pytest.raises(Failure) as raised:
        additions.install_missing(['newcomer'], InstallationOptions())
    assert f'torch=={importlib.metadata.version("torch")}' in raised.value.words.in_('en')


def test_only_what_lacks_is_named_and_with_its_range(tmp_path):
    (tmp_path / 'core.txt').write_text('# why\nflask>=3,<4\nNew-comer==1 # why\n')
    (tmp_path / 'all.txt').write_text('-r core.txt\ntorch>=2\nnew.er>=1,<2\n')
    assert additions.find_missing(tmp_path / 'all.txt') == ['new.er>=1,<2', 'New-comer==1']
