#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How a clip is taken along, in a real browser: the main way of each device, every format, the phone, the clip's own page.

Libraries: axe-playwright-python, playwright, pytest.
"""

import browser
import program
import pytest
from browser import Directed, choose, see

from modules import encoders
from modules.jobs.job import link_id

expect = pytest.importorskip('playwright.sync_api').expect

IPHONE = (
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) '
    'Version/18.0 Mobile/15E148 Safari/604.1')
ANDROID = (
    'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 '
    'Mobile Safari/537.36')
PHONE = {'viewport': {'width': 390, 'height': 844}, 'has_touch': True}

#: a share sheet that writes down what it is given
SHEET = '''window.shared = [];
navigator.canShare = ({files}) => files.every(({type}) => type !== 'application/zip');
navigator.share = async ({files: [file]}) => {
    if (window.refuses) throw new DOMException('', window.refuses);
    if (!navigator.userActivation.isActive) throw new DOMException('', 'NotAllowedError');
    window.shared.push([file.name, file.type, file.size]);
};'''

#: where the page is not reached by a phone, and where it is
LINK = {
    'url': 'http://10.1.2.3:5000/clip-0',
    'qr': 'data:image/svg+xml,%3Csvg xmlns="http://www.w3.org/2000/svg"/%3E',
    'hint': 'The phone asks for the password.'
}


@pytest.fixture(scope = 'module')
def port(directed_port):
    Directed.go.set()
    return directed_port


def finish(page):
    choose(page, name = 'grandmother.jpg')
    page.click('#start')
    see(page, 'done')
    return page.locator('#main-action')


@pytest.mark.parametrize(('agent', 'words', 'ending'), [
    (None, 'Download MP4', '.mp4'),
    (IPHONE, 'Save Live Photo', '.pvt.zip'),
    (ANDROID, 'Save Motion Photo', '_MP.jpg'),
])
def test_without_a_share_sheet_each_device_saves_what_it_knows_best(chromium, port, agent, words,
                                                                    ending):
    with browser.opened(chromium, port, **({
            'user_agent': agent,
            **PHONE
    } if agent else {})) as page:
        action = finish(page)
        expect(action.locator('.name')).to_have_text(words)
        with page.expect_download() as coming:
            action.locator('a').click()
        assert coming.value.suggested_filename.endswith(ending)
        # who is on a phone needs no way there
        assert page.is_visible('#open-phone') == (agent is None)


def test_the_share_sheet_gets_the_file_at_the_tap(chromium, port):
    with browser.opened(chromium, port, user_agent = ANDROID, **PHONE) as page:
        page.add_init_script(SHEET)
        page.reload()
        action = finish(page)
        expect(action.locator('.name')).to_have_text('Share or save')
        expect(action.locator('.size')).to_contain_text('B')
        action.locator('a').click()
        page.wait_for_function('() => shared.length')
        [[name, kind, size]] = page.evaluate('shared')
        assert (name.endswith('_MP.jpg'), kind, size > 1000) == (True, 'image/jpeg', True)
        # closed without a choice is no fault
        page.evaluate("refuses = 'AbortError'")
        action.locator('a').click()
        expect(action.locator('.wrong')).to_be_empty()
        # one that does not work gives way to the plain download
        page.evaluate("refuses = 'NotAllowedError'")
        action.locator('a').click()
        expect(action.locator('.wrong')).to_contain_text('could not be shared')
        with page.expect_download():
            action.locator('a').click()


def test_what_the_sheet_does_not_take_is_saved_as_a_file(chromium, port):
    with browser.opened(chromium, port, user_agent = IPHONE, **PHONE) as page:
        page.add_init_script(SHEET)
        page.reload()
        expect(finish(page).locator('.name')).to_have_text('Save Live Photo')


def test_the_formats_stand_in_one_row_in_the_order_of_the_table_each_explained(page):
    finish(page)
    rows = page.locator('#downloads li')
    assert rows.evaluate_all('all => all.map((one) => one.dataset.format)') == list(encoders.TABLE)
    page.hover('[data-format=live-photo] a')
    expect(page.locator('#format-help')).to_contain_text('.pvt')
    page.focus('[data-format=gif] a')
    expect(page.locator('#format-help')).to_contain_text('Plays everywhere')


def test_where_no_phone_gets_to_the_page_says_what_to_do(page):
    finish(page)
    page.click('#open-phone')
    expect(page.locator('#phone .hint-phone')).to_contain_text('--host 0.0.0.0')
    assert page.is_hidden('#phone img') and page.is_hidden('#phone .copy')
    page.keyboard.press('Escape')
    assert page.is_hidden('#phone')
    expect(page.locator('#open-phone')).to_be_focused()


def test_the_way_to_the_phone_is_a_code_and_a_link(chromium, port):
    with browser.opened(chromium, port, refusals = True) as page:
        _go_to_the_phone(page)


def _go_to_the_phone(page):
    axe = pytest.importorskip('axe_playwright_python.sync_playwright').Axe()
    page.route('**/link', lambda route: route.fulfill(json = LINK))
    # one server of many that hears late that it is done
    page.route(
        '**/link',
        lambda route: route.fulfill(
            status = 409, json = {
                'code': 'not_done',
                'message': 'Too early'
            }),
        times = 1)
    finish(page)
    page.click('#open-phone')
    expect(page.locator('#phone .hint-phone')).to_have_text('Finding the address…')
    expect(page.locator('#phone img')).to_be_visible()
    expect(page.locator('#phone a')).to_have_text(LINK['url'])
    expect(page.locator('#phone .hint-phone')).to_have_text(LINK['hint'])
    page.context.grant_permissions(['clipboard-read', 'clipboard-write'])
    page.click('#phone .copy')
    expect(page.locator('#phone .copy')).to_have_text('Copied')
    assert page.evaluate('navigator.clipboard.readText()') == LINK['url']
    for scheme in ('light', 'dark'):
        page.emulate_media(color_scheme = scheme)
        assert axe.run(page).violations_count == 0
    page.click('#phone .close')
    assert page.is_hidden('#phone')


def test_the_code_is_that_of_the_clip_for_which_the_dialog_was_opened_last(chromium, port):
    with browser.opened(chromium, port, refusals = True) as page:
        held = []
        page.route('**/link', lambda route: held.append(route))
        finish(page)
        for _time in range(3):
            with page.expect_request('**/link'):
                page.click('#open-phone')
            page.keyboard.press('Escape')
        with page.expect_request('**/link'):
            page.click('#open-phone')
        program.until(lambda: page.evaluate('1') and len(held) == 4)
        early, refused, late, last = held
        with page.expect_event('requestfinished'):
            last.fulfill(json = LINK)
        expect(page.locator('#phone a')).to_have_text(LINK['url'])
        not_done = {'code': 'not_done', 'message': 'Too early'}
        page.clock.install()
        for route, answer in ((early, {
                'json': {
                    **LINK, 'url': 'http://10.1.2.3:5000/clip-1'
                }
        }), (refused, {
                'status': 409,
                'json': not_done
        }), (late, {
                'status': 404,
                'json': {
                    'code': 'gone',
                    'message': 'Gone'
                }
        })):
            with page.expect_event('requestfinished'):
                route.fulfill(**answer)
        # what was answered has been read by then
        page.evaluate("fetch('/health').then((answer) => answer.json())")
        page.clock.run_for(5000)
        page.evaluate("fetch('/health').then((answer) => answer.json())")
        assert page.inner_text('#phone a') == LINK['url']
        assert page.inner_text('#phone .hint-phone') == LINK['hint']
        assert len(held) == 4, 'nothing is asked for a dialog that has been closed'


def open_link(page):
    """Open the page of the clip on the table."""
    job = page.wait_for_selector('#clip[data-job]').get_attribute('data-job')
    page.goto(f'{page.url}clip-{link_id(job)}')


#: of what the page of one clip shows: its own size, and where it is
SHOWN_SIZE = '''() => {
    const shown = document.querySelector('.shown');
    const {x, y, width, height} = shown.getBoundingClientRect();
    const natural = [shown.videoWidth || shown.naturalWidth, shown.videoHeight || shown.naturalHeight];
    return {natural, x, y, width, height};
}'''


def assert_fills_the_window(size, window = (1280, 800)):
    """However small the clip is, it is shown as large as the window and what stands beside it allow."""
    (width, height), shown = size['natural'], (size['width'], size['height'])
    assert abs(shown[0] / shown[1] - width / height) < 0.02
    assert shown[0] > 2 * width and shown[0] > window[0] * 0.55
    assert size['x'] + shown[0] <= window[0] and size['y'] + shown[1] <= window[1]


@pytest.mark.parametrize('viewport', [(1280, 800), (320, 568)])
def test_the_page_of_one_clip_shows_a_small_clip_large(page, viewport):
    finish(page)
    page.set_viewport_size(dict(zip(('width', 'height'), viewport, strict = True)))
    open_link(page)
    page.wait_for_function('() => clip.videoWidth')
    assert_fills_the_window(page.evaluate(SHOWN_SIZE), viewport)


@pytest.mark.parametrize('language', ['en', 'zh'])
def test_the_page_of_one_clip_plays_and_saves_it(chromium, port, language):
    axe = pytest.importorskip('axe_playwright_python.sync_playwright').Axe()
    options = {'user_agent': ANDROID, 'reduced_motion': 'no-preference', **PHONE}
    with browser.opened(chromium, port, language, **options) as page:
        finish(page)
        open_link(page)
        page.wait_for_function('() => !clip.paused && clip.currentTime > 0')
        assert page.locator('#studio, .strip, .settings').count() == 0
        for scheme in ('light', 'dark'):
            page.emulate_media(color_scheme = scheme)
            assert axe.run(page).violations_count == 0
        assert page.evaluate('document.documentElement.scrollWidth') == 390
        with page.expect_download():
            page.click('#main-action a')
        with page.expect_download():
            page.click('[data-format=gif] a')
        expect(page.locator('[data-format=gif] .size')).to_contain_text('B')


def test_the_page_of_one_clip_shows_a_picture_where_the_video_cannot_be_played(page):
    finish(page)
    page.route(
        '**/result?format=mp4',
        lambda route: route.fulfill(status = 200, content_type = 'video/mp4', body = 'no video'))
    open_link(page)
    page.wait_for_selector('img.shown')
    size = page.evaluate(SHOWN_SIZE)
    assert size['natural'][0] > 0
    assert_fills_the_window(size)


def test_a_clip_that_arrives_late_does_not_take_the_place_of_another(page):
    finish(page)
    choose(page, name = 'second.jpg')
    waiting = []

    def hold(route):
        if waiting:
            route.continue_()
        else:
            waiting.append(route)

    page.route('**/result?format=mp4', hold)
    page.click('#start')
    expect(page.locator('#sentence')).to_contain_text('Loading your clip')
    page.locator('.tile', has_text = 'grandmother').locator('.open').click()
    first = page.wait_for_selector('#clip[aria-label$=grandmother]').get_attribute('data-job')
    waiting.pop().continue_()
    page.wait_for_timeout(300)
    assert page.locator('#clip').get_attribute('data-job') == first
    assert page.is_visible('#clip') and page.is_visible('#live')


def test_a_clip_that_is_no_longer_there_leads_back(chromium, port):
    axe = pytest.importorskip('axe_playwright_python.sync_playwright').Axe()
    with browser.opened(chromium, port, refusals = True) as page:
        page.goto(f'{page.url}clip-0')
        expect(page.locator('h1')).to_have_text('This clip is no longer here')
        assert axe.run(page).violations_count == 0
        page.get_by_role('link', name = 'Choose a photo').click()
        see(page, 'empty')
