#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A second real browser for tests of the page: WebKit, as iPhones have it, on a display nobody sees.

Libraries: selenium.
"""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

DRIVER, DISPLAY = shutil.which('WebKitWebDriver'), shutil.which('Xvfb')
#: seconds to wait for anything
PATIENCE = 20


@contextmanager
def webkit():
    """A browser; the test is left out where there is none."""
    webdriver = pytest.importorskip('selenium.webdriver')
    from selenium.webdriver.webkitgtk.options import Options
    from selenium.webdriver.webkitgtk.service import Service
    window = next(Path('/usr/lib').glob('*/webkit2gtk-4.1/MiniBrowser'), None)
    if not (DRIVER and DISPLAY and window):
        pytest.skip('WebKitWebDriver or Xvfb is not installed')
    with display() as name:
        options = Options()
        options.binary_location = str(window)
        options.add_argument('--automation')
        # within a container there is no second sandbox to be had; without a graphics card, layers are but more work
        environment = {
            **os.environ, 'DISPLAY': name,
            'WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS': '1',
            'WEBKIT_DISABLE_COMPOSITING_MODE': '1',
            'LANG': 'C.UTF-8'
        }
        browser = webdriver.WebKitGTK(
            options = options, service = Service(DRIVER, env = environment))
        try:
            yield browser
        finally:
            browser.quit()


@contextmanager
def display():
    """An X display of its own; its name."""
    read, write = os.pipe()
    command = [
        DISPLAY, '-displayfd',
        str(write), '-screen', '0', '1280x1000x24', '-nolisten', 'tcp'
    ]
    process = subprocess.Popen(
        command, pass_fds = [write], stdout = subprocess.DEVNULL, stderr = subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as number:
            yield f':{number.readline().strip()}'
    finally:
        process.terminate()
        process.wait()
