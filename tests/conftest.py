#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What every test may ask for; in CI a skipped test is a failed one.

Libraries: pytest.
"""

import os
import signal
import subprocess

import pytest


def pytest_configure():
    """What starts tests in the background may have them ignore signals, and all that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, 'SIGHUP'):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(hookwrapper = True)
def pytest_runtest_makereport(item, call):
    """A judge that is missing in CI is a mistake of the CI, not a reason to judge less."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get('CI') and not hasattr(report, 'wasxfail'):
        report.outcome = 'failed'
        report.longrepr = f'skipped in CI: {report.longrepr}'


@pytest.fixture(scope = 'module')
def chromium():
    """A browser."""
    import browser
    with browser.chromium() as running:
        yield running


@pytest.fixture
def page(chromium, port):
    """The page in it, of the program that a test's own ``port`` names."""
    import browser
    with browser.opened(chromium, port) as page:
        yield page


@pytest.fixture(scope = 'module')
def directed_port(tmp_path_factory):
    """The server with an engine under the name of svd that does what the test wants."""
    import program

    from app import create_app
    from modules.configuration import Configuration, WebOptions
    from modules.engines import Engines
    options = Configuration(web = WebOptions(port = 0))
    engines = Engines(options, {'svd': ('browser', 'Directed')})
    app = create_app(options, tmp_path_factory.mktemp('directed'), engines = engines)
    with program.served(app, options.web) as port:
        program.ready(port)
        yield port


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for little more than a record; gone after the test."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    mount = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'none', disk],
                           capture_output = True,
                           check = False)
    if mount.returncode:
        pytest.skip('only root can mount')
    yield disk
    subprocess.run(['umount', '-l', disk], check = True)
