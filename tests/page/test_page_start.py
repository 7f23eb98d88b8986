#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How the page begins: right from the first paint, with the photo that was chosen before a reload, and calm.

Libraries: playwright, pytest.
"""

import browser
import pytest
from browser import Directed, choose, file, photo, see, shown_size
from playwright.sync_api import expect

#: adds up what jumps, whatever the person did before
JUMPS = '''() => {
    window.jumps = [];
    new PerformanceObserver((list) => {
        for (const {value, sources} of list.getEntries()) {
            jumps.push([value, ...sources.map(({node}) => node?.id || node?.className || node?.nodeName)]);
        }
    }).observe({type: 'layout-shift', buffered: true});
}'''
#: the state in which the form is painted first
FIRST = '''() => {
    const note = () => {
        const stage = document.querySelector('.stage');
        if (stage) window.firstState ??= stage.parentElement.dataset.state ?? 'none';
        else requestAnimationFrame(note);
    };
    requestAnimationFrame(note);
}'''


@pytest.fixture(scope = 'module')
def port(directed_port):
    Directed.go.set()
    return directed_port


def test_the_page_is_in_its_state_before_the_modules_have_come(page):
    page.add_init_script(f'({FIRST})()')
    page.route('**/js/main.js', lambda route: None)
    page.goto(page.url, wait_until = 'commit')
    see(page, 'empty')
    assert page.evaluate('firstState') == 'empty'
    assert page.locator('#choose').is_visible() and not page.locator('#start').is_visible()


def test_where_the_modules_do_not_come_the_plain_form_appears(chromium, port):
    with browser.opened(chromium, port, refusals = True) as page:
        page.route('**/js/main.js', lambda route: route.abort())
        page.reload()
        page.wait_for_selector('#studio:not([data-state])')
        assert page.locator('#file').is_visible() and page.locator('#start').is_visible()


def test_a_photo_that_was_not_sent_is_still_there_after_a_reload(page):
    page.set_input_files('#file',
                         [file(photo('PNG', (120, 200)), 'one.png'),
                          file(photo(), 'two.jpg')])
    page.locator('.tile', has_text = 'two').wait_for()
    page.wait_for_function(
        "() => Object.keys(sessionStorage).some((key) => key.endsWith(':photo'))")
    page.add_init_script(f'({FIRST})()')
    page.reload()
    see(page, 'chosen')
    assert page.evaluate('firstState') == 'opening'
    assert shown_size(page) == [120, 200]
    expect(page.locator('#start')).to_have_text('Bring all 2 to life')
    page.click('#start')
    see(page, 'done')
    # sent, it is kept no longer
    page.wait_for_function(
        "() => !Object.keys(sessionStorage).some((key) => key.endsWith(':photo'))")
    page.reload()
    see(page, 'done')


def test_another_tab_does_not_find_it(page):
    choose(page)
    page.wait_for_function(
        "() => Object.keys(sessionStorage).some((key) => key.endsWith(':photo'))")
    other = page.context.new_page()
    other.goto(page.url)
    see(other, 'empty')


def test_the_wordmark_leads_home_and_the_photo_waits_below(page):
    choose(page, name = 'aunt.jpg')
    page.click('.wordmark')
    see(page, 'empty')
    page.locator('.tile .open', has_text = 'aunt').click()
    see(page, 'chosen')
    page.click('#start')
    see(page, 'done')
    page.click('.wordmark')
    see(page, 'empty')
    page.reload()
    see(page, 'empty')


@pytest.mark.parametrize('size', [(390, 844), (1366, 768)])
def test_nothing_jumps_from_loading_to_the_finished_clip(chromium, port, size):
    viewport = {'width': size[0], 'height': size[1]}
    with browser.opened(chromium, port, viewport = viewport) as page:
        page.add_init_script(f'({JUMPS})()')
        page.reload()
        page.wait_for_function('() => document.fonts.status === "loaded"')
        early = page.evaluate('jumps')
        choose(page, photo(size = (640, 420)))
        page.evaluate('jumps = []')
        page.click('#start')
        see(page, 'done')
        page.wait_for_selector('.clip:not([hidden])')
        jumps = early + page.evaluate('jumps')
        assert sum(value for value, *_names in jumps) < 0.05, jumps
