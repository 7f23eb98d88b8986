#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the page asks of a camera: its move, the length of the clip, the focus, the blur.

Libraries: axe-playwright-python, playwright, pytest.
"""

import program
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import choose, file, opened, photo, see

from modules.choices import MOVES

SMALL = ('[ModelOptions]\nEngine = camera\nImagePromptWidth = 128\nImagePromptHeight = 64\n'
         'Seconds = 1\nOutputFPS = 6\nMaxSeconds = 4\n')


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    with program.started(tmp_path_factory.mktemp('camera'), SMALL) as (_process, port):
        program.ready(port)
        yield port


def _centre(page, selector):
    box = page.locator(selector).bounding_box()
    return box['x'] + box['width'] / 2, box['y'] + box['height'] / 2


def _part_of_photo(page):
    """Where the mark is, as parts of a photo twice as wide as high, which fills the stage."""
    box, (x, y) = page.locator('#photo').bounding_box(), _centre(page, '#focus-mark')
    return pytest.approx(
        (x - box['x']) / box['width'], abs = 0.01), pytest.approx(
            (y - box['y']) / box['height'], abs = 0.01)


def _point(page):
    return tuple(map(float, page.input_value('#focus').split(',')))


def _offered(page, name):
    return page.locator(f'[name={name}]').evaluate_all('all => all.map((one) => one.value)')


def _checked(page, name):
    return page.locator(f'[name={name}]:checked').get_attribute('value')


def _tap(page, x, y):
    page.locator('#photo').scroll_into_view_if_needed()
    box = page.locator('#photo').bounding_box()
    page.mouse.click(box['x'] + x * box['width'], box['y'] + y * box['height'])


def test_what_is_set_is_what_the_camera_is_asked(page):
    choose(page, photo(size = (400, 200)))
    assert _offered(page, 'seconds') == ['', '2', '3'] and _offered(page, 'move') == list(MOVES)
    # what the owner has set
    assert page.locator('.pill', has_text = 'Auto').inner_text() == 'Auto · 1 s'
    page.get_by_role('radio', name = 'Push in').check()
    page.get_by_role('radio', name = '2 s').check()
    page.fill('#blur', '0.5')
    _tap(page, 0.25, 0.75)
    with page.expect_response(lambda answer: answer.request.method == 'POST') as answer:
        page.click('#start')
    asked = answer.value.json()['parameters']
    assert (asked['move'], asked['seconds'], asked['blur']) == ('push-in', 2, 0.5)
    x, y = map(float, asked['focus'].split(','))
    assert (x, y) == (pytest.approx(0.25, abs = 0.01), pytest.approx(0.75, abs = 0.01))
    see(page, 'done')
    # an earlier clip's settings return with it
    page.reload()
    see(page, 'done')
    assert (_checked(page, 'move'), _checked(page, 'seconds')) == ('push-in', '2')
    assert _point(page) == (x, y)


def test_the_focus_is_tapped_moved_by_keys_and_taken_back(page):
    choose(page, photo(size = (400, 200)))
    assert not page.is_visible('#focus-mark')
    _tap(page, 0.7, 0.4)
    assert page.is_visible('#focus-mark') and _point(page) == _part_of_photo(page)
    page.set_viewport_size({'width': 500, 'height': 900})
    assert _point(page) == _part_of_photo(page)
    page.click('#focus-reset')
    assert not page.is_visible('#focus-mark') and page.input_value('#focus') == ''
    page.focus('#focus-choose')
    page.keyboard.press('Enter')
    page.keyboard.press('ArrowRight')
    page.keyboard.press('ArrowDown')
    assert page.input_value('#focus') == '0.52,0.52' and _point(page) == _part_of_photo(page)
    assert page.get_attribute('#focus-mark', 'aria-label').startswith('Focus: 52% across')
    assert Axe().run(page).violations_count == 0
    # another photo has its own, and of several each
    page.set_input_files(
        '#file', [file(photo(size = (400, 200))),
                  file(photo('PNG', (120, 200)), 'other.png')])
    page.wait_for_selector('#focus-mark', state = 'hidden')
    assert page.input_value('#focus') == ''
    _tap(page, 0.7, 0.4)
    point = page.input_value('#focus')
    page.locator('.tile .open', has_text = 'other').click()
    page.wait_for_selector('#focus-mark', state = 'hidden')
    assert page.input_value('#focus') == ''
    page.locator('.tile .open', has_text = 'photo').click()
    page.wait_for_selector('#focus-mark', state = 'visible')
    assert page.input_value('#focus') == point
    asked = []
    page.on(
        'response', lambda answer: asked.append(answer.json()['parameters']['focus'])
        if answer.request.method == 'POST' else None)
    page.click('#start')
    page.wait_for_selector('.tile[data-state=done] ~ .tile[data-state=done]')
    assert asked == [point, None]


def test_a_move_is_chosen_by_keys_and_taken_back(page):
    choose(page)
    page.locator('[name=move]:checked').focus()
    page.keyboard.press('ArrowRight')
    page.keyboard.press('ArrowRight')
    assert _checked(page, 'move') == MOVES[2]
    page.get_by_role('button', name = 'Reset Camera move').press('Enter')
    assert _checked(page, 'move') == 'auto' and page.is_hidden('#move-reset')
    page.keyboard.press('ArrowLeft')
    assert _checked(page, 'move') == MOVES[-1]


@pytest.mark.parametrize('motion', ['reduce', 'no-preference'])
def test_a_tile_moves_as_it_says_where_motion_is_wanted(chromium, port, motion):
    moving = "[...document.querySelectorAll('.scene')].filter((one) => one.getAnimations({subtree: true}).some(" \
             "({animationName}) => animationName)).map((one) => one.dataset.move)"
    with opened(chromium, port, reduced_motion = motion) as page:
        choose(page)
        seen = set()
        for move in MOVES:
            page.locator(f'[name=move][value={move}]').check(force = True)
            seen |= set(page.evaluate(moving))
        assert seen == (set() if motion == 'reduce' else set(MOVES) - {'still'})


def test_what_is_seldom_wanted_is_under_more_and_a_wrong_seed_opens_it(page):
    page.set_input_files('#file', file(photo()))
    see(page, 'chosen')
    assert page.is_hidden('#seed') and page.is_hidden('#key_frame')
    page.locator('#more summary').press('Enter')
    page.select_option('#key_frame', 'middle')
    page.fill('#seed', '-1')
    page.locator('#more summary').press('Enter')
    page.set_viewport_size({'width': 390, 'height': 640})
    page.evaluate('scrollTo(0, 0)')
    page.click('#start')
    page.wait_for_function("""() => {
        const box = document.getElementById('seed-error').getBoundingClientRect();
        const bar = document.querySelector('.actions').getBoundingClientRect();
        return box.height && box.top >= 0 && box.bottom <= bar.top;
    }""")
    page.fill('#seed', '1')
    with page.expect_response(lambda answer: answer.request.method == 'POST') as answer:
        page.click('#start')
    assert answer.value.json()['parameters']['key_frame'] == 'middle'
