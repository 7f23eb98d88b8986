#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How soon the page can be used on a slow line and a slow phone, and how much it jumps from loading to the finished clip.

    python bench/page.py http://127.0.0.1:5000/ photo.jpg [TRIES]

Libraries: playwright.
"""

import shutil
import statistics
import sys
from typing import TypedDict

from playwright.sync_api import Browser, Page, sync_playwright

#: bits a second and milliseconds of a slow mobile line, and by how much the processor is slowed down
LINE, LATENCY, SLOWER = 1.6e6, 40, 4
#: windows of a phone and of a laptop
WINDOWS = ((390, 844), (1366, 768))
#: notes when the page can be used, and all that jumps without a person's doing
WATCH = '''
    window.jumps = 0;
    new PerformanceObserver((list) => {
        for (const {value, hadRecentInput} of list.getEntries()) window.jumps += hadRecentInput ? 0 : value;
    }).observe({type: 'layout-shift', buffered: true});
    const wait = () => {
        if (document.querySelector('#studio[data-live]')) window.ready = performance.now();
        else requestAnimationFrame(wait);
    };
    wait();
'''


class Load(TypedDict):
    """One load of the page with nothing kept."""

    #: milliseconds
    ready: float
    #: as they came over the line, until everything was there
    bytes: int
    requests: int


def _open_page(browser: Browser, address: str, window: tuple[int, int]) -> tuple[Page, Load]:
    """Open the page on the slow line; the numbers go on counting."""
    context = browser.new_context(
        viewport = {
            'width': window[0],
            'height': window[1]
        }, locale = 'en-GB')
    page = context.new_page()
    page.set_default_timeout(120000)
    client = context.new_cdp_session(page)
    client.send('Network.enable')
    load = Load(ready = 0, bytes = 0, requests = 0)

    def count(event: dict) -> None:
        load['bytes'] += event['encodedDataLength']
        load['requests'] += 1

    client.on('Network.loadingFinished', count)
    client.send(
        'Network.emulateNetworkConditions', {
            'offline': False,
            'latency': LATENCY,
            'downloadThroughput': LINE / 8,
            'uploadThroughput': LINE / 8
        })
    client.send('Emulation.setCPUThrottlingRate', {'rate': SLOWER})
    page.add_init_script(WATCH)
    page.goto(address, wait_until = 'load')
    page.wait_for_timeout(1500)
    load['ready'] = page.evaluate('window.ready')
    return page, load


def _measure_load(browser: Browser, address: str, window: tuple[int, int]) -> Load:
    """Load the page once."""
    page, load = _open_page(browser, address, window)
    page.context.close()
    return load


def _measure_jumps(browser: Browser, address: str, window: tuple[int, int], photo: str) -> float:
    """Load the page, choose a photo and see the clip: the sum of all that jumped."""
    page, _load = _open_page(browser, address, window)
    page.set_input_files('#file', photo)
    page.wait_for_selector('#studio[data-state=chosen]')
    page.wait_for_timeout(500)
    page.click('#start')
    page.wait_for_selector('#studio[data-state=done]')
    page.wait_for_timeout(1500)
    jumps = page.evaluate('window.jumps')
    page.context.close()
    return jumps


def main(address: str, photo: str, tries: str = '5') -> None:
    """
    Print one line a window.

    :param address: of the page
    :type address: str
    :param photo: a file to make a clip of
    :type photo: str
    :param tries: how often each window is loaded
    :type tries: str
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path = shutil.which('chromium'), args = ['--no-sandbox', '--disable-gpu'])
        print(
            '| window | ready, ms: median (least, most) | kB | requests | jumps |\n|---|---|---|---|---|'
        )
        for window in WINDOWS:
            loads = [_measure_load(browser, address, window) for _ in range(int(tries))]
            ready = sorted(load['ready'] for load in loads)
            jumps = _measure_jumps(browser, address, window, photo)
            print(
                f'| {window[0]} × {window[1]} | {statistics.median(ready):.0f} ({ready[0]:.0f}, {ready[-1]:.0f}) | '
                f'{loads[0]["bytes"] / 1000:.0f} | {loads[0]["requests"]} | {jumps:.3f} |')
        browser.close()


if __name__ == '__main__':
    main(*sys.argv[1:])
