#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What every test may ask for; in CI a skipped test is a failed one.

Libraries: psutil, pytest.
"""

import gc
import os
import signal
import subprocess

import psutil
import pytest

# As many processes compute as there are processors: each with one thread, and whoever waits for another one sleeps.
# What starts torch, in this process or in one that a test starts, finds it here.
os.environ.update(OMP_NUM_THREADS = '1', OMP_WAIT_POLICY = 'PASSIVE')
# else MKL adds in another order where numbers lie elsewhere in memory, as weights do that have moved
os.environ['MKL_CBWR'] = 'AUTO'
# what one program has compiled of the product is not compiled again by the hundreds of others
os.environ.pop('PYTHONDONTWRITEBYTECODE', None)

#: what a process of tests takes with torch, a browser and a program beside it
BYTES_PER_WORKER = 3 << 30

#: more are not faster: the longest file is what is waited for
MOST_WORKERS = 12

#: files in the order in which they are begun, the longest first
LONGEST = {
    name: place
    for place, name in enumerate(('test_container.py', 'test_page_jobs.py', 'test_fleet_faults.py',
                                  'test_faults.py', 'test_svd_memory.py', 'test_stable_video.py',
                                  'test_own_environment.py', 'test_launch.py', 'test_program.py',
                                  'test_svd_compiling.py', 'test_wan.py', 'test_jobs.py',
                                  'test_fleet.py', 'test_svd_compiling_faults.py',
                                  'test_svd_served.py', 'test_svd_presets.py', 'test_depth.py',
                                  'test_svd_placement.py', 'test_tunnel.py', 'test_page.py',
                                  'test_torch_installed.py', 'test_notebook.py',
                                  'test_earlier_defects.py', 'test_sandbox.py',
                                  'test_page_model.py', 'test_svd_selftest.py', 'test_animation.py',
                                  'test_local_queue.py', 'test_again.py', 'test_environment.py',
                                  'test_openapi.py', 'test_live_photo.py'))
}


def pytest_configure():
    """What starts tests in the background may have them ignore signals, and all that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, 'SIGHUP'):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(optionalhook = True)
def pytest_xdist_auto_num_workers():
    """Return how many files are tested at once: many tests wait, so twice what computes, if memory lasts."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return max(1, min(2 * cores, psutil.virtual_memory().total // BYTES_PER_WORKER, MOST_WORKERS))


@pytest.hookimpl(hookwrapper = True)
def pytest_collection():
    """
    What is imported with the tests stays until the end: nothing of it is looked through for what is in use no more,
    neither while it comes nor whenever the engines have memory freed.
    """
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items):
    """Files that take longest come first, so that none of them is still at work when all others are done."""
    items.sort(key = lambda item: LONGEST.get(item.path.name, len(LONGEST)))


@pytest.hookimpl(hookwrapper = True)
def pytest_runtest_makereport(item, call):
    """A judge that is missing in CI is a mistake of the CI, not a reason to judge less."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get('CI') and not hasattr(report, 'wasxfail'):
        report.outcome = 'failed'
        report.longrepr = f'skipped in CI: {report.longrepr}'


@pytest.fixture(scope = 'session')
def bare_environment(tmp_path_factory):
    """A virtual environment as the launcher makes it, with nothing in it but pip; made once, to be copied."""
    from filelock import FileLock

    from modules.install import environment
    base = tmp_path_factory.getbasetemp()
    # all processes of a run have folders beside each other
    home = (base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base) / '虚拟 环境'
    with FileLock(f'{home}.lock'):
        if not environment.read_note(home):
            environment.prepare(home, (3, 10), print)
    return home


@pytest.fixture(scope = 'module')
def exiftool_stays():
    """An exiftool that is started once, for files of tests that ask it often."""
    import judges
    with judges.exiftool_waiting():
        yield


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
    import browser
    import program

    from app import create_app
    from modules.configuration import Configuration, WebOptions
    from modules.engines.registry import Engines
    options = Configuration(web = WebOptions(port = 0))
    engines = Engines(options, {'svd': ('browser', 'Directed')})
    app = create_app(options, tmp_path_factory.mktemp('directed'), engines = engines)
    browser.count_uploads(app)
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
