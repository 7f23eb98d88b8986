#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the page asks of a model that takes a text: wishes to choose from, words of one's own, the length.

Libraries: axe-playwright-python, playwright, pytest.
"""

import threading

import browser
import program
import pytest
import stand_ins
from axe_playwright_python.sync_playwright import Axe
from browser import choose, opened, see
from playwright.sync_api import expect

from app import create_app
from modules.configuration import Configuration, WebOptions
from modules.engines.registry import Engines
from modules.engines.wan.wishes import WISHES
from modules.i18n import text
from modules.progress import Progress

#: of a clip in parts
NOTES = (text('engines.continued',
              parts = 2), text('engines.drifted', brightness = '-4.0', colours = '2.5'))

WIND, SMILE = WISHES['wind'], WISHES['smile']


class Wishing(stand_ins.Generative):
    """Takes a text, and remembers what it was asked."""

    parameters = ('seed', 'preset', 'seconds', 'prompt', 'negative_prompt')
    wishes = WISHES
    usual_seconds, longest_seconds = 3.38, 5.04
    asked = []
    go = threading.Event()
    go.set()

    def animate(self, photo, request, control):
        self.asked.append(request)
        while not self.go.wait(0.05):
            control.stop_if_cancelled()
        if request.seconds and request.seconds > self.longest_seconds:
            for note in NOTES:
                control.report(Progress('step', 1, 2, note = note))
        return super().animate(photo, request, control)


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    configuration = Configuration(web = WebOptions(port = 0))
    table = {'wan': (__name__, 'Wishing'), 'camera': ('stand_ins', 'Instant')}
    app = create_app(
        configuration, tmp_path_factory.mktemp('wishing'), engines = Engines(configuration, table))
    with program.served(app, configuration.web) as port:
        program.ready(port)
        yield port


def chip(page, words):
    return page.get_by_role('button', name = words, exact = True)


def pressed(page):
    return page.locator('.wishes [aria-pressed=true]').all_inner_texts()


def test_a_wish_is_written_sent_and_comes_back_with_its_clip(page):
    choose(page)
    assert page.locator('.wishes button').count() == len(WISHES) == 10
    chip(page, 'Gentle wind').click()
    chip(page, 'A smile').press('Enter')
    both = f'{WIND["en"]} {SMILE["en"]}'
    assert (page.input_value('#prompt'), pressed(page)) == (both, ['Gentle wind', 'A smile'])
    chip(page, 'Gentle wind').press(' ')
    assert (page.input_value('#prompt'), pressed(page)) == (SMILE['en'], ['A smile'])
    page.fill('#prompt', f'The dog wakes\nup. {SMILE["en"]}')
    assert pressed(page) == ['A smile'], 'words around it change nothing'
    Wishing.go.clear()
    page.click('#start')
    page.locator('#in-use dd.long', has_text = 'The dog wakes').wait_for()
    name, said = (page.locator(f'#in-use {part}').first.bounding_box() for part in ('dt', 'dd'))
    assert said['x'] == name['x'] and said['y'] >= name['y'] + name['height']
    Wishing.go.set()
    see(page, 'done')
    wanted = f'The dog wakes up. {SMILE["en"]}'
    assert Wishing.asked[-1].prompt == wanted
    page.fill('#prompt', f'The dog wakes up. {SMILE["en"][:-1]}')
    assert pressed(page) == [], 'it is another wish now'
    page.reload()
    see(page, 'done')
    assert (page.input_value('#prompt'), pressed(page)) == (wanted, ['A smile'])
    page.click('#prompt-reset')
    assert (page.input_value('#prompt'), pressed(page)) == ('', [])


def test_wishes_follow_the_language_and_stay_wishes(page):
    choose(page)
    chip(page, 'Gentle wind').click()
    page.click('#language')
    page.wait_for_selector('html[lang^=zh]')
    assert page.input_value('#prompt') == WIND['en'] and pressed(page) == ['微风吹过']
    chip(page, '露出微笑').click()
    assert page.input_value('#prompt') == f'{WIND["en"]} {SMILE["zh"]}'
    chip(page, '微风吹过').click()
    chip(page, '微风吹过').click()
    assert page.input_value('#prompt') == SMILE['zh'] + WIND['zh']
    # what is left on both sides stands together as if it had been written so
    page.fill('#prompt', f'{SMILE["zh"]}{WIND["zh"]}云朵飘过。')
    chip(page, '微风吹过').click()
    assert page.input_value('#prompt') == f'{SMILE["zh"]}云朵飘过。'
    page.fill('#prompt', f'A dog {WIND["zh"]} wakes')
    chip(page, '微风吹过').click()
    assert page.input_value('#prompt') == 'A dog wakes'


def test_what_has_no_room_is_not_written(page):
    choose(page)
    page.fill('#prompt', 'x' * 990)
    chip(page, 'A smile').click()
    assert page.input_value('#prompt') == 'x' * 990 and pressed(page) == []
    assert page.inner_text('#prompt-error').startswith('There is no room')
    page.fill('#prompt', '')
    assert page.inner_text('#prompt-error') == ''


def test_the_length_in_one_go_is_told(page):
    choose(page)
    said = page.inner_text('#seconds-help')
    assert said.startswith('Up to 5 s are made in one go.') and 'in parts' in said


def test_a_longer_clip_is_asked_for_and_says_what_became_of_it(page):
    choose(page)
    lengths = page.locator('[data-setting=seconds] .pill').all_inner_texts()
    assert lengths == ['Auto · 3.4 s', '2 s', '3 s', '5 s', '10 s']
    page.check('[name=seconds][value="10"]')
    page.click('#start')
    see(page, 'done')
    assert Wishing.asked[-1].seconds == 10
    said = page.locator('[data-format=mp4] .note')
    expect(said).to_have_text(' '.join(each.in_('en') for each in NOTES))


@pytest.mark.parametrize(('language', 'scheme'), [('en', 'light'), ('zh', 'dark')])
def test_wishes_fit_on_a_small_phone_and_have_no_findings_of_axe(chromium, port, language, scheme):
    small = {'width': 320, 'height': 640}
    with opened(
            chromium, port, language, has_touch = True, viewport = small,
            color_scheme = scheme) as page:
        choose(page)
        page.locator('.wishes button').first.click()
        assert page.evaluate('document.documentElement.scrollWidth') == 320
        boxes = [each.bounding_box() for each in page.locator('.wishes button').all()]
        assert all(box['height'] >= 44 and box['x'] + box['width'] <= 320 for box in boxes)
        found = Axe().run(page).response['violations']
        assert [(each['id'], each['nodes'][0]['html']) for each in found] == []


def test_without_javascript_words_of_ones_own_are_left(chromium, port):
    with browser.opened(chromium, port, java_script_enabled = False) as page:
        assert page.locator('#prompt').is_visible() and not page.is_visible('.wishes')
