#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The page in a frame of another site, as a Hugging Face Space shows it, and behind a password; in Chromium, which is told
to keep no cookies for framed sites.

Libraries: playwright, Pillow, pytest.
"""

import http.server
import threading
from contextlib import contextmanager

import browser
import program
import pytest
import stand_ins
from browser import photo

from app import create_app
from modules.configuration import Configuration, WebOptions
from modules.engines.registry import Engines

PASSWORD = 'open, 芝麻'
WINDOW = {'locale': 'en-GB', 'accept_downloads': True, 'reduced_motion': 'reduce'}


class Framing(http.server.BaseHTTPRequestHandler):
    """The other site: one page, with this one in it."""

    def do_GET(self):  # noqa: N802
        self.send_response(200)
        self.send_header('Content-Type', 'text/html')
        self.end_headers()
        if self.path == '/':
            address = f'http://127.0.0.1:{self.server.framed}/'
            self.wfile.write(f'<iframe src="{address}" width=1200 height=900></iframe>'.encode())

    def log_message(self, *_words):
        pass


@contextmanager
def other_site():
    """A site of its own, because its name is another one; its ``framed`` is the port to show."""
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Framing)
    thread = threading.Thread(target = server.serve_forever, args = (0.05, ), daemon = True)
    thread.start()
    try:
        yield server, f'http://localhost:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope = 'module')
def chromium():
    with browser.chromium(browser.WHOLE, '--test-third-party-cookie-phaseout') as running:
        yield running


@contextmanager
def served(home, **web):
    options = Configuration(web = WebOptions(port = 0, **web))
    engines = Engines(options, stand_ins.table(camera = 'Instant'))
    with program.served(create_app(options, home, engines = engines), options.web) as port:
        program.ready(port)
        yield port


@contextmanager
def window(chromium, **options):
    context = chromium.new_context(**WINDOW, **options)
    context.set_default_timeout(browser.PATIENCE)
    try:
        yield context.new_page()
    finally:
        context.close()


def make_a_clip(page, inside):
    """The whole way, from the photo to the file on the disk."""
    inside.locator('#studio[data-state=empty]').wait_for()
    inside.locator('#file').set_input_files(browser.file(photo()))
    inside.locator('#studio[data-state=chosen]').wait_for()
    inside.locator('#start').click()
    inside.locator('#studio[data-state=done]').wait_for()
    with page.expect_download() as coming:
        inside.locator('#downloads [data-format=gif] a').click()
    return coming.value.path().read_bytes()


def test_a_listed_site_shows_the_page_in_a_frame_and_all_of_it_works(chromium, tmp_path):
    with other_site() as (site, origin), served(tmp_path, allowed_origins = (origin, )) as port:
        site.framed = port
        with window(chromium) as page:
            page.goto(f'{origin}/')
            inside = page.frame_locator('iframe')
            assert make_a_clip(page, inside).startswith(b'GIF89a')


def test_another_site_shows_no_page_in_its_frame(chromium, tmp_path):
    with other_site() as (site, origin), served(tmp_path) as port:
        site.framed = port
        with window(chromium) as page:
            refused = []
            page.on('console', lambda message: refused.append(message.text))
            page.goto(f'{origin}/')
            page.wait_for_function('() => true')
            patience = 100
            while not any('frame-ancestors' in words for words in refused) and patience:
                page.wait_for_timeout(100)
                patience -= 1
            assert any('frame-ancestors' in words for words in refused), refused
            assert page.frame_locator('iframe').locator('#studio').count() == 0


def test_a_frame_cannot_ask_for_the_password_but_leads_to_a_window_that_can(chromium, tmp_path):
    given = {'username': '', 'password': PASSWORD}
    with other_site() as (site, origin), served(
            tmp_path, password = PASSWORD, allowed_origins = (origin, )) as port:
        site.framed = port
        with window(chromium, http_credentials = given) as page:
            page.goto(f'{origin}/')
            inside = page.frame_locator('iframe')
            assert 'cannot be entered' in inside.locator('main').inner_text()
            with page.expect_popup() as opened:
                inside.get_by_role('link').click()
            assert make_a_clip(opened.value, opened.value).startswith(b'GIF89a')


def test_the_page_works_behind_a_password(chromium, tmp_path):
    with served(tmp_path, password = PASSWORD) as port:
        with window(chromium, http_credentials = {'username': '', 'password': PASSWORD}) as page:
            page.goto(f'http://127.0.0.1:{port}/')
            assert make_a_clip(page, page).startswith(b'GIF89a')
        with window(chromium, http_credentials = {'username': '', 'password': 'wrong'}) as page:
            assert page.goto(f'http://127.0.0.1:{port}/').status == 401
            assert page.locator('#studio').count() == 0


def test_the_page_works_behind_a_password_without_javascript(chromium, tmp_path):
    given = {'username': 'x', 'password': PASSWORD}
    with served(
            tmp_path, password = PASSWORD) as port, window(
                chromium, http_credentials = given, java_script_enabled = False) as page:
        page.goto(f'http://127.0.0.1:{port}/')
        page.set_input_files('#file', browser.file(photo()))
        with page.expect_response('**/generate') as answer:
            page.click('#start')
        assert answer.value.status == 200
        assert answer.value.headers['content-type'] == 'image/gif'
