#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How the page begins: right from the first paint, with the photo that was chosen before a reload, and calm.

Libraries: playwright, pytest.
"""

import re

import browser
import program
import pytest
from browser import Directed, caught, choose, file, photo, see, shown_size
from playwright.sync_api import expect

from modules.configuration import ROOT

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

#: whatever a page can remember, and what of it is found
REMEMBER = '''async () => {
    localStorage.setItem('a', 'b');
    sessionStorage.setItem('a', 'b');
    document.cookie = 'a=b; path=/; max-age=1000';
    const opening = indexedDB.open('a', 1);
    await new Promise((resolve) => { opening.onsuccess = resolve; });
    const cache = await caches.open('a');
    await cache.put('/a', new Response('b'));
}'''
FOUND = '''async () => [
    localStorage.getItem('a'), sessionStorage.getItem('a'), document.cookie,
    (await indexedDB.databases()).filter(({name}) => name === 'a').length, (await caches.keys()).length,
]'''


@pytest.fixture(scope = 'module')
def port(directed_port):
    Directed.go.set()
    return directed_port


def test_the_page_is_in_its_state_before_the_modules_have_come(page):
    page.add_init_script(f'({FIRST})()')
    page.route('**/js/main.js', lambda route: None)
    page.goto(page.url, wait_until = 'commit')
    see(page, 'empty')
    # noted with the first frame
    page.wait_for_function('() => window.firstState')
    assert page.evaluate('firstState') == 'empty'
    assert page.locator('#choose').is_visible() and not page.locator('#start').is_visible()


@pytest.mark.parametrize(('module', 'hand_in'), [('main', 'choose'), ('rest', 'choose'),
                                                 ('rest', 'paste'), ('clip', 'drop')])
def test_where_the_modules_do_not_come_the_plain_form_works(chromium, port, module, hand_in):
    # without the first module there is nobody to complain
    fault = None if module == 'main' else 'Failed to fetch dynamically imported module'
    with browser.opened(chromium, port, refusals = True, fault = fault) as page:
        page.route(f'**/js/{module}.js', lambda route: route.abort())
        page.reload()
        page.wait_for_selector('#studio:not([data-state])')
        assert page.locator('#file').is_visible() and page.locator('#start').is_visible()
        # with every sheet
        page.wait_for_function(
            "() => getComputedStyle(document.querySelector('.strip')).display === 'flex'")
        if hand_in == 'choose':
            page.set_input_files('#file', file(photo(), 'aunt.jpg'))
        else:
            getattr(browser, hand_in)(page, ('aunt.jpg', photo()))
        page.wait_for_function(
            "() => document.getElementById('file').files[0]?.name === 'aunt.jpg'")
        with page.expect_response('**/generate') as answer:
            page.click('#start')
        assert answer.value.status < 400


def test_where_what_has_come_fails_half_way_the_plain_form_works(chromium, port):
    with browser.opened(chromium, port, fault = 'halfWay') as page:

        def fail(route):
            answer = route.fetch()
            script = answer.text().replace('new Engine(', 'null.halfWay.engine(')
            route.fulfill(response = answer, body = script)

        page.route('**/js/rest.js', fail)
        page.reload()
        page.wait_for_selector('#studio:not([data-state])')
        page.set_input_files('#file', file(photo(), 'aunt.jpg'))
        with page.expect_response('**/generate') as answer:
            page.click('#start')
        assert answer.value.status < 400


@pytest.mark.parametrize('comes', [True, False])
def test_a_photo_chosen_while_the_rest_is_slow_is_said_to_be_opening(chromium, port, comes):
    fault = None if comes else 'Failed to fetch dynamically imported module'
    with browser.opened(chromium, port, refusals = True, fault = fault) as page:
        held = []
        page.route('**/js/rest.js', lambda route: held.append(route))
        page.reload(wait_until = 'commit')
        page.wait_for_selector('#studio[data-live]')
        page.set_input_files('#file', file(photo(), 'aunt.jpg'))
        expect(page.locator('#notice')).to_have_text('Opening the photo…')
        expect(page.locator('#notice')).to_be_visible()
        if comes:
            caught(page, held).continue_()
            see(page, 'chosen')
        else:
            caught(page, held).abort()
            page.wait_for_selector('#studio:not([data-state])')
            assert page.evaluate("document.getElementById('file').files[0].name") == 'aunt.jpg'
        expect(page.locator('#notice')).to_be_empty()


def test_what_another_engine_does_not_offer_becomes_what_is_usual_there(page):
    choose(page)
    usual, other = (
        page.get_attribute(f'#preset option{which}', 'value')
        for which in ('[selected]', ':not([selected])'))
    page.select_option('#preset', other)

    def leave_out(route):
        answer = route.fetch()
        option = rf'<option value="{other}".*?</option>'
        route.fulfill(response = answer, body = re.sub(option, '', answer.text()))

    page.route(page.url, leave_out)
    page.click('#language')
    page.wait_for_function(
        "(value) => !document.querySelector(`#preset [value='${value}']`)", arg = other)
    assert page.input_value('#preset') == usual


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


def test_what_other_tabs_left_goes_when_it_is_a_day_old(page):
    # as tabs that were closed leave it
    page.evaluate(
        '''async hours => {
        const opening = indexedDB.open('turn-live-photos', 1);
        opening.onupgradeneeded = () => opening.result.createObjectStore('tabs');
        await new Promise((resolve) => { opening.onsuccess = resolve; });
        const store = opening.result.transaction('tabs', 'readwrite').objectStore('tabs');
        for (const age of hours) {
            store.put({files: [new File(['x'], 'x.jpg')], since: Date.now() - 3600000 * age}, `${age} hours`);
        }
        await new Promise((resolve) => { store.transaction.oncomplete = resolve; });
        opening.result.close();
    }''', [1, 23, 25, 1000])
    page.reload()
    see(page, 'empty')
    find = '''async () => {
        const opening = indexedDB.open('turn-live-photos', 1);
        await new Promise((resolve) => { opening.onsuccess = resolve; });
        const asking = opening.result.transaction('tabs').objectStore('tabs').getAllKeys();
        const keys = await new Promise((resolve) => { asking.onsuccess = () => resolve(asking.result); });
        opening.result.close();
        return keys;
    }'''
    program.until(lambda: page.evaluate(find) == ['1 hours', '23 hours'])


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


@pytest.mark.parametrize(('language', 'name', 'file_name'),
                         [('en', 'Example: Lighthouse', 'Lighthouse'), ('zh', '示例：灯塔', '灯塔')])
def test_an_example_is_tried_with_one_press(chromium, port, language, name, file_name):
    with browser.opened(chromium, port, language) as page:
        assert page.locator('.examples button').count() == 3
        page.get_by_role('button', name = name).press('Enter')
        see(page, 'chosen')
        assert shown_size(page) == [800, 1000]
        expect(page.locator('#start')).to_be_focused()
        page.click('#start')
        see(page, 'done')
        assert page.locator('.tile .name').inner_text() == file_name


def test_the_examples_are_small_and_every_picture_is_there(page):
    for path in (ROOT / 'static' / 'examples').iterdir():
        assert path.stat().st_size <= (200_000 if path.suffix == '.mp4' else 60_000), path.name
    page.locator('.examples').scroll_into_view_if_needed()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.stage .show img, .examples img')].every("
        "(one) => one.complete && one.naturalWidth)")


@pytest.mark.parametrize('motion', ['reduce', 'no-preference'])
def test_the_loop_plays_after_all_else_has_come_and_only_where_motion_is_wanted(
        chromium, port, motion):
    with browser.opened(chromium, port, reduced_motion = motion) as page:
        if motion == 'reduce':
            page.wait_for_timeout(300)
            assert page.locator('.loop video').count() == 0
            return
        page.wait_for_selector('.loop video')
        timing = page.evaluate(
            """() => [performance.getEntriesByType('navigation')[0].loadEventStart,
            performance.getEntriesByName(document.querySelector('.loop video').src)[0].startTime]"""
        )
        assert timing[0] <= timing[1]
        choose(page)
        page.wait_for_function("() => document.querySelector('.loop video').paused")


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


@pytest.mark.parametrize('size', [(390, 844), (1366, 768)])
def test_nothing_jumps_while_the_page_comes_in_pieces(chromium, port, size):
    """On a slow line the page is painted before all of it is there."""
    with browser.opened(chromium, port, viewport = {'width': size[0], 'height': size[1]}) as page:
        boxes = []
        # what comes last first
        for name in ('.before', '.actions', '.side', '.examples', '#accepted', '#choose', '.lead',
                     ''):
            boxes.append([page.locator(name).bounding_box() for name in ('.loop', '.stage')])
            if name:
                page.eval_on_selector(name, '(one) => one.remove()')
        # the stage grows downwards
        assert len({tuple(loop.items()) for loop, _stage in boxes}) == 1, boxes
        assert len({(stage['x'], stage['y'], stage['width']) for _loop, stage in boxes}) == 1, boxes


CONTRAST = """(one) => {
    const light = (colour) => {
        const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255)
            .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const [a, b] = [one.colour, one.ground].map(light).sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
}"""


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_what_is_pressed_and_what_tells_progress_stands_out(chromium, port, scheme):
    """At least 3 : 1 against what lies beside it."""
    with browser.opened(chromium, port, color_scheme = scheme) as page:

        def style(selector, name):
            return page.eval_on_selector(selector, f'(one) => getComputedStyle(one).{name}')

        paper = style('body', 'backgroundColor')
        pairs = [
            (style('#choose', 'borderTopColor'), style('.stage', 'backgroundColor')),
            (style('#choose', 'borderTopColor'), paper),
            (style('#progress span', 'backgroundColor'), style('#progress', 'backgroundColor')),
            (style('#progress span', 'backgroundColor'), paper),
            (style('.chip', 'borderTopColor'), paper),
            (style('#die', 'borderTopColor'), paper),
        ]
        for colour, ground in pairs:
            found = page.evaluate(CONTRAST, {'colour': colour, 'ground': ground})
            assert found >= 3, (colour, ground, found)


def test_the_bar_at_the_bottom_leaves_a_small_screen_to_the_photo(chromium, port):
    for language in ('en', 'zh'):
        with browser.opened(
                chromium, port, language, viewport = {
                    'width': 320,
                    'height': 568
                }) as page:
            choose(page)
            assert page.locator('.actions').bounding_box()['height'] <= 0.15 * 568


def test_what_went_wrong_is_seen_on_a_small_screen_too(chromium, port):
    window = {'viewport': {'width': 320, 'height': 568}}
    with browser.opened(chromium, port, refusals = True, **window) as page:
        page.set_input_files('#file', file(b'no picture', 'letter.txt'))
        page.wait_for_selector('.notice[data-kind=wrong]')
        expect(page.locator('#notice')).to_be_in_viewport(ratio = 1)
        choose(page)
        page.evaluate('scrollTo(0, document.body.scrollHeight)')
        page.set_input_files('#file', file(b'no picture', 'letter.txt'))
        page.wait_for_selector('.notice[data-kind=wrong]')
        bar = page.locator('.actions').bounding_box()
        box = page.locator('#notice').bounding_box()
        assert box['y'] >= 0 and box['y'] + box['height'] <= bar['y']


def test_the_shadow_of_the_photo_lies_under_the_buttons(chromium, port):
    with browser.opened(chromium, port, color_scheme = 'dark') as page:
        choose(page)
        order = page.evaluate("""() => ['.stage', '.actions'].map((name) => {
            const {position, zIndex} = getComputedStyle(document.querySelector(name));
            return [position !== 'static', Number(zIndex) || 0];
        })""")
        assert order[1][0] and order[1][1] > order[0][1]


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_nothing_shines_through_the_place_to_drop(chromium, port, scheme):
    with browser.opened(chromium, port, color_scheme = scheme) as page:
        page.evaluate("document.getElementById('studio').toggleAttribute('data-dragging', true)")
        colour = page.eval_on_selector('.landing', '(one) => getComputedStyle(one).backgroundColor')
        assert colour.startswith('rgb(') and page.locator('.landing').is_visible()


@pytest.mark.parametrize(('language', 'first'), [('zh', 'PingFang SC'), ('en', '-apple-system')])
def test_chinese_fonts_come_first_where_the_page_is_chinese(chromium, port, language, first):
    with browser.opened(chromium, port, language) as page:
        family = page.eval_on_selector('body', '(one) => getComputedStyle(one).fontFamily')
        assert family.split(',')[0].strip('"') == first
        page.click('#language')
        page.wait_for_selector(f'html[lang^={"en" if language == "zh" else "zh"}]')
        family = page.eval_on_selector('body', '(one) => getComputedStyle(one).fontFamily')
        assert family.split(',')[0].strip('"') != first


def test_of_what_a_test_leaves_the_next_finds_nothing(chromium, port):
    with browser.opened(chromium, port, fault = 'of the last test', color_scheme = 'dark') as page:
        usual = page.evaluate(FOUND)
        page.set_viewport_size({'width': 320, 'height': 480})
        page.emulate_media(reduced_motion = 'no-preference')
        page.route('**/health', lambda route: route.fulfill(body = 'none'))
        choose(page)
        page.mouse.move(160, 240)
        page.evaluate(REMEMBER)
        page.evaluate("console.error('of the last test')")
    with browser.opened(chromium, port) as other:
        assert other is page, 'it is one window'
        assert other.evaluate(FOUND) == usual == [None, None, '', 0, 0]
        assert other.evaluate('[innerWidth, innerHeight, screen.width]') == [1280, 800, 1280]
        asked = ('prefers-color-scheme: dark', 'prefers-reduced-motion: reduce')
        assert [other.evaluate(f"matchMedia('({one})').matches") for one in asked] == [False, True]
        assert other.evaluate("fetch('health').then((answer) => answer.json())")
        assert other.evaluate("document.querySelector('.stage:hover')") is None
        assert other.get_attribute('#studio', 'data-state') == 'empty'


@pytest.mark.parametrize('act', [
    lambda page: page.add_init_script('window.a = 1'),
    lambda page: page.evaluate("void open('about:blank')")
])
def test_a_window_in_which_something_lasts_is_not_used_again(chromium, port, act):
    with browser.opened(chromium, port) as page:
        act(page)
    with browser.opened(chromium, port) as other:
        assert other is not page and page.is_closed()


def test_a_window_of_a_test_that_failed_is_not_used_again(chromium, port):
    with pytest.raises(AssertionError), browser.opened(chromium, port) as page:
        page.evaluate("console.error('a complaint')")
    with browser.opened(chromium, port) as other:
        assert other is not page
