#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The page in WebKit against the real program: the whole way from a photo to its files, and back to it later.

Libraries: axe-playwright-python (the axe-core in it), Pillow, pytest, selenium.
"""

import importlib.util
import io
import urllib.request
from pathlib import Path

import program
import pytest
import webkit
from browser import photo
from PIL import Image

from modules.jobs.job import link_id

#: selenium's own affair
pytestmark = pytest.mark.filterwarnings('ignore:setting remote_server_addr')

SMALL = ('[ModelOptions]\nEngine = camera\nImagePromptWidth = 256\nImagePromptHeight = 128\n'
         'Seconds = 1\nOutputFPS = 6\n')


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    with program.started(tmp_path_factory.mktemp('webkit'), SMALL) as (_process, port):
        program.ready(port)
        yield port


@pytest.fixture(scope = 'module')
def browser():
    with webkit.webkit() as browser:
        yield browser


@pytest.fixture
def page(browser, port):
    """The page, with nothing remembered."""
    browser.get(f'http://127.0.0.1:{port}/health')
    browser.execute_script('localStorage.clear()')
    return Page(browser, port)


class Page:
    """What a person does and sees; every look waits for what it expects."""

    def __init__(self, browser, port):
        self.browser = browser
        self.port = port
        self.open()

    def open(self):
        self.browser.get(f'http://127.0.0.1:{self.port}/')
        self.see('#studio[data-state]')

    def find(self, selector):
        return self.browser.find_element('css selector', selector)

    def until(self, script, *values):
        """Wait until a script returns something that counts as true, and give it."""
        from selenium.webdriver.support.ui import WebDriverWait
        waiting = WebDriverWait(self.browser, webkit.PATIENCE)
        return waiting.until(lambda browser: browser.execute_script(f'return {script}', *values))

    def see(self, selector):
        return self.until('document.querySelector(arguments[0])?.checkVisibility()', selector)

    def give(self, *paths):
        """Choose files, when the page can take several."""
        self.until('file.multiple')
        self.find('#file').send_keys('\n'.join(map(str, paths)))

    def choose(self, path):
        self.give(path)
        self.see('#studio[data-state=chosen]')

    def press(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains
        ActionChains(self.browser).send_keys(*keys).perform()

    def links(self):
        """The addresses of the files offered."""
        return self.until('[...document.querySelectorAll("#downloads a")].map((link) => link.href)')

    def findings(self):
        """What axe-core has to say."""
        axe = Path(importlib.util.find_spec('axe_playwright_python').origin).with_name('axe.min.js')
        self.browser.execute_script(axe.read_text(encoding = 'utf-8'))
        self.browser.set_script_timeout(webkit.PATIENCE)
        return self.browser.execute_async_script(
            'const done = arguments[0];'
            'axe.run().then(({violations}) => done(violations.map(({id, nodes}) => [id, nodes[0].html])))'
        )


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / '奶奶 1968.jpg'
    path.write_bytes(photo(size = (640, 320)))
    return path


def test_from_a_photo_to_every_file_and_back_after_a_reload(page, picture):
    assert page.findings() == []
    page.choose(picture)
    assert page.until('photo.naturalWidth === 640')
    assert page.findings() == []
    page.find('#start').click()
    page.see('#studio[data-state=done]')
    assert page.until('clip.checkVisibility() && (clip.naturalWidth || clip.videoWidth)')
    assert page.findings() == []
    assert sorted(fetched(link) for link in page.links()) == [
        'application/zip', 'image/gif', 'image/jpeg', 'image/webp', 'video/mp4'
    ]
    page.open()
    page.see('.tile, #before li')
    assert page.findings() == []


def fetched(link):
    """The type of a file that can be had, and is whole."""
    with urllib.request.urlopen(link, timeout = 30) as answer:
        content, kind = answer.read(), answer.headers['Content-Type']
    if kind.startswith('image/'):
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    return kind


def test_by_keyboard_alone(page, picture):
    from selenium.webdriver.common.keys import Keys
    page.choose(picture)
    assert page.until('document.activeElement.id === "start"')
    page.press(Keys.ENTER)
    page.see('#studio[data-state=done]')
    assert page.until('document.activeElement.closest("#main-action")')
    for _ in range(30):
        if page.until('document.activeElement.id || "nothing"') == 'again':
            break
        page.press(Keys.TAB)
    else:
        raise AssertionError('"again" cannot be reached')
    before = page.links()
    page.press(Keys.ENTER)
    assert page.until(
        'document.querySelector("#downloads a") && '
        'document.querySelector("#downloads a").href !== arguments[0]', before[0])
    page.see('#studio[data-state=done]')


def test_a_photo_that_is_none_is_told_and_the_page_goes_on(page, picture, tmp_path):
    letter = tmp_path / 'letter.jpg'
    letter.write_bytes(b'Dear photo')
    page.give(letter)
    page.see('.notice[data-kind=wrong]')
    page.choose(picture)


def test_several_photos_and_the_way_to_the_phone(page, picture, tmp_path):
    letter, second = tmp_path / 'letter.pdf', tmp_path / 'second.jpg'
    letter.write_bytes(b'Dear photo')
    second.write_bytes(photo(size = (200, 300)))
    page.give(picture, letter, second)
    page.see('#studio[data-state=chosen]')
    assert page.until('notice.textContent.includes("letter.pdf")')
    page.find('#start').click()
    assert page.until('tally.textContent === "2 of 2 done"')
    page.see('#save-all')
    page.see('#studio[data-state=done]')
    page.find('#open-phone').click()
    assert page.until('document.querySelector(".hint-phone").textContent.includes("--host")')
    assert page.findings() == []
    page.find('#phone .close').click()
    job = page.until('clip.dataset.job')
    page.browser.get(f'http://127.0.0.1:{page.port}/clip-{link_id(job)}')
    # a video, or a picture where this WebKit has no decoder for it
    assert page.until(
        '[...document.querySelectorAll(".shown")].some((one) => one.naturalWidth || one.videoWidth)'
    )
    assert page.findings() == []
