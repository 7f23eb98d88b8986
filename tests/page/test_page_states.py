#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Every state of the page, in both languages: for everybody who uses it, and on every screen.

Libraries: axe-playwright-python, playwright, pytest.
"""

import browser
import pytest
from browser import Directed

#: fonts differ from machine to machine, down to those without a letter of a language
NARROW = '* { font-size: 4px !important }'

#: what stands out of the screen, or out of what it is in
WIDE = '''() => [...document.querySelectorAll('a, button, label, legend, h1, h2, p, li, input, .notice')]
    .filter((one) => one.checkVisibility() && !one.closest('.visually-hidden'))
    .filter((one) => !one.closest('.studio:not([data-state=empty]) .invitation, .strip'))
    .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0
        || one.getBoundingClientRect().left < 0 || one.getBoundingClientRect().right > innerWidth)
    .map((one) => one.outerHTML)'''

#: what is too small to be pressed with a finger
SMALL = '''(style) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    document.adoptedStyleSheets = [sheet];
    const small = [...document.querySelectorAll('a, button, input, summary, label.button')]
        .filter((one) => one.checkVisibility() && !(one.offsetWidth >= 44 && one.offsetHeight >= 44))
        .map((one) => [one.outerHTML, one.offsetWidth, one.offsetHeight]);
    document.adoptedStyleSheets = [];
    return small;
}'''

#: each rule that is broken, and where
FINDINGS = '''axe.run({resultTypes: ['violations']}).then(
    ({violations}) => violations.map(({id, nodes}) => [id, nodes[0].html]))'''


@pytest.fixture(scope = 'module')
def port(directed_port):
    return directed_port


@pytest.mark.parametrize('language', ['en', 'zh'])
def test_no_state_has_findings_of_axe_in_light_or_dark(chromium, port, language):
    axe = pytest.importorskip('axe_playwright_python.sync_playwright').Axe()
    found = []
    with browser.opened(chromium, port, language, refusals = True) as page:
        page.evaluate(axe.axe_script)
        for state in browser.states(page, Directed.go):
            for scheme in ('light', 'dark'):
                page.emulate_media(color_scheme = scheme, reduced_motion = 'reduce')
                found += [(state, scheme, *finding) for finding in page.evaluate(FINDINGS)]
    assert found == []


@pytest.fixture(scope = 'module', params = ['en', 'zh'])
def on_phones(request, chromium, port):
    """What is found in every state: its width, what is wider, and what is too small, in any letters."""
    found = []
    window = {'has_touch': True, 'viewport': {'width': 390, 'height': 640}}
    with browser.opened(chromium, port, request.param, refusals = True, **window) as page:
        for state in browser.states(page, Directed.go):
            for width in (320, 390):
                page.set_viewport_size({'width': width, 'height': 640})
                found.append({
                    'state': (state, width),
                    'width': page.evaluate('document.documentElement.scrollWidth'),
                    'wide': page.evaluate(WIDE),
                    'small': [page.evaluate(SMALL, style) for style in ('', NARROW)]
                })
    return found


def test_nothing_is_wider_than_a_phone(on_phones):
    for each in on_phones:
        assert (each['state'], each['width']) == (each['state'], each['state'][1])
        assert (each['state'], each['wide']) == (each['state'], [])


def test_everything_to_press_is_large_enough_for_a_finger(on_phones):
    for each in on_phones:
        assert (each['state'], each['small']) == (each['state'], [[], []])
