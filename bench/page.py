#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How soon the page can be used on a slow line and a slow phone, how soon a clip that is made moves there and how much is
fetched for it, and how much jumps from loading to the finished clip.

    python bench/page.py photo.jpg 5 http://127.0.0.1:5000/ [http://127.0.0.1:5001/ ...]

Of several addresses, such as two versions of the program, each is loaded in turn, so that what else the machine does
hinders all of them alike. "Ready" is when a photo can be chosen and dropped, "whole" when all that becomes of photos is
there too.

Libraries: playwright.
"""

import shutil
import statistics
import sys
import time
from typing import TypedDict

from playwright.sync_api import Browser, Page, Request, sync_playwright

#: bits a second and milliseconds of a slow mobile line, and by how much the processor is slowed down
LINE, LATENCY, SLOWER = 1.6e6, 40, 4
#: windows of a phone and of a laptop
WINDOWS = ((390, 844), (1366, 768))
#: notes when the page can be used, when all of it is there, and all that jumps without a person's doing
WATCH = '''
    window.jumps = 0;
    new PerformanceObserver((list) => {
        for (const {value, hadRecentInput} of list.getEntries()) window.jumps += hadRecentInput ? 0 : value;
    }).observe({type: 'layout-shift', buffered: true});
    window.moments = {};
    new MutationObserver(() => {
        const studio = document.getElementById('studio');
        if (studio && ('live' in studio.dataset || studio.noValidate)) window.moments.ready ??= performance.now();
        if (studio?.noValidate) window.moments.whole ??= performance.now();
    }).observe(document, {
        childList: true, subtree: true, attributeFilter: ['data-live', 'novalidate']
    });
'''

#: whether the clip moves, as a video or as a picture that has wholly come
MOVES = '''() => {
    const clip = document.getElementById('clip');
    return clip.tagName === 'VIDEO' ? clip.currentTime > 0 : clip.complete && clip.naturalWidth > 0;
}'''


class Load(TypedDict):
    """One load of the page with nothing kept."""

    #: milliseconds
    ready: float
    whole: float
    painted: float
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
    load = Load(ready = 0, whole = 0, painted = 0, bytes = 0, requests = 0)

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
    page.wait_for_function('window.moments.ready && window.moments.whole')
    load |= page.evaluate('window.moments')
    load['painted'] = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return page, load


def _measure_load(browser: Browser, address: str, window: tuple[int, int]) -> Load:
    """Load the page once."""
    page, load = _open_page(browser, address, window)
    page.context.close()
    return load


class Journey(TypedDict):
    """What became of a photo."""

    #: seconds from asking for the clip until it moves
    wait: float
    #: what came over the line from choosing the photo until then
    bytes: int
    #: all that jumped, from loading on
    jumps: float


def _measure_journey(browser: Browser, address: str, window: tuple[int, int],
                     photo: str) -> Journey:
    """Load the page, choose a photo and see the clip move."""
    page, _load = _open_page(browser, address, window)
    journey = Journey(wait = 0, bytes = 0, jumps = 0)
    asked: list[float] = []

    def count(event: dict) -> None:
        journey['bytes'] += event['encodedDataLength'] or event['dataLength']

    def note(request: Request) -> None:
        if '/result' in request.url:
            asked.append(time.perf_counter())

    client = page.context.new_cdp_session(page)
    client.send('Network.enable')
    page.set_input_files('#file', photo)
    client.on('Network.dataReceived', count)
    page.on('request', note)
    page.wait_for_selector('#studio[data-state=chosen]')
    page.wait_for_timeout(500)
    page.click('#start')
    page.wait_for_function(MOVES)
    journey['wait'] = time.perf_counter() - asked[0]
    client.remove_listener('Network.dataReceived', count)
    page.wait_for_timeout(1500)
    journey['jumps'] = page.evaluate('window.jumps')
    page.context.close()
    return journey


def _say(times: list[float]) -> str:
    """The median, and the least and the most."""
    return f'{statistics.median(times):.0f} ({min(times):.0f}, {max(times):.0f})'


def main(photo: str, tries: str, *addresses: str) -> None:
    """
    Print one line for each window and address.

    :param photo: a file to make a clip of
    :type photo: str
    :param tries: how often each is loaded
    :type tries: str
    :param addresses: of the pages
    :type addresses: str
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path = shutil.which('chromium'), args = ['--no-sandbox', '--disable-gpu'])
        print(
            '| page | window | painted, ms: median (least, most) | ready | whole | kB | requests | '
            'clip, kB | s until it moves | jumps |\n'
            '|---|---|---|---|---|---|---|---|---|---|')
        for window in WINDOWS:
            loads: dict[str, list[Load]] = {address: [] for address in addresses}
            for _ in range(int(tries)):
                for address in addresses:
                    loads[address].append(_measure_load(browser, address, window))
            for address, found in loads.items():
                times = ' | '.join(
                    _say(list(each)) for each in zip(
                        *((load['painted'], load['ready'], load['whole']) for load in found),
                        strict = True))
                journey = _measure_journey(browser, address, window, photo)
                print(
                    f'| {address} | {window[0]} × {window[1]} | {times} | '
                    f'{found[0]["bytes"] / 1000:.0f} | {found[0]["requests"]} | '
                    f'{journey["bytes"] / 1000:.0f} | {journey["wait"]:.1f} | {journey["jumps"]:.3f} |'
                )
        browser.close()


if __name__ == '__main__':
    main(*sys.argv[1:])
