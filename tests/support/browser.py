#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A real browser for tests of the page: Chromium under the server's content security policy, a person's ways of handing
it a photo, and an engine that does what a test wants.

Libraries: flask, numpy, playwright, Pillow, program, stand_ins.
"""

import base64
import functools
import io
import re
import shutil
import threading
import weakref
from contextlib import contextmanager

import flask
import numpy
import program
import pytest
from PIL import Image
from stand_ins import Instant

from modules.progress import Progress

#: all of the browser, and the part of it that shows pages, which takes half the time; the rules about passwords in
#: frames belong to the rest
WHOLE = shutil.which('chromium')
CHROMIUM = shutil.which('chromium-headless-shell') or WHOLE
#: of these switches Chromium heeds the last, so what Playwright leaves out is left out here too; besides, the page of
#: its own that Chromium keeps ready below the address bar of every window takes more than the page that is tested
LEFT_OUT = ('AimEnabled', 'AvoidCorsURLLoaderRestartOnRedirect',
            'AvoidUnnecessaryBeforeUnloadCheckSync', 'DestroyProfileOnBrowserClose',
            'HttpsFirstBalancedModeAutoEnable', 'HttpsUpgrades', 'LensOverlay', 'MediaRouter',
            'NetworkTimeServiceQuerying', 'OptimizationHints', 'PaintHolding', 'PreconnectToSearch',
            'ThirdPartyStoragePartitioning', 'WebUIOmniboxAimPopup', 'WebUIOmniboxPopup')
ARGUMENTS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    f'--disable-features={",".join(LEFT_OUT)}'
]
#: nobody sees its screen, so nothing is drawn there; who wants a picture of a page, or presses something in a frame of
#: another site, needs it drawn
UNSEEN = '--blink-settings=acceleratedCompositingEnabled=false'
#: what a browser without a graphics card says when it reads a picture back from its stand-in
SLOW = 'GPU stall due to ReadPixels'
#: what becomes of photos comes after the page; a page that wants a password has none of it
WHOLLY_THERE = "() => document.getElementById('studio')?.noValidate !== false"
LOCALES = {'en': 'en-GB', 'zh': 'zh-CN'}
#: a window as it usually is; these of its options can be changed while it is open
USUAL = {
    'viewport': {
        'width': 1280,
        'height': 800
    },
    'reduced_motion': 'reduce',
    'color_scheme': 'light'
}
#: what a test may use of a window that another test gets after it: nothing of it outlasts an empty window
PASSING = frozenset(
    ('check', 'click', 'dispatch_event', 'emulate_media', 'eval_on_selector',
     'eval_on_selector_all', 'evaluate', 'evaluate_handle', 'expect_download',
     'expect_file_chooser', 'expect_request', 'expect_response', 'fill', 'focus', 'frame_locator',
     'get_attribute', 'get_by_role', 'go_back', 'goto', 'hover', 'inner_text', 'input_value',
     'is_checked', 'is_disabled', 'is_hidden', 'is_visible', 'keyboard', 'locator', 'mouse',
     'press', 'reload', 'route', 'select_option', 'set_input_files', 'set_viewport_size', 'title',
     'unroute', 'unroute_all', 'url', 'wait_for_function', 'wait_for_selector', 'wait_for_timeout',
     'wait_for_url'))
#: windows that tests have given back, by browser and by the options that cannot be changed
WAITING = weakref.WeakKeyDictionary()
#: milliseconds that what is awaited may take, on the busiest machine
PATIENCE = 60000

#: makes a DataTransfer of files that come as (name, base64)
DATA_TRANSFER = '''files => {
    const transfer = new DataTransfer();
    for (const [name, content] of files) {
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name));
    }
    return transfer;
}'''


class Directed(Instant):
    """
    Understands every setting, remembers what it was asked, shows a picture in colours turned round, waits after its
    first step while it is held, and fails for the seed 503.
    """

    parameters = ('motion_bucket_id', 'noise_aug_strength', 'max_guidance_scale', 'seed', 'preset')
    frames = 4
    go = threading.Event()
    asked = []
    #: photos that :func:`count_uploads` sees on their way
    uploads = 0

    def animate(self, photo, request, control):
        self.asked.append(request)
        if request.seed == 503:
            raise MemoryError
        picture = numpy.asarray(photo.image)
        control.report(Progress('step', 1, self.frames, 255 - picture))
        while not self.go.wait(0.05):
            control.stop_if_cancelled()
        return super().animate(photo, request, control)


def count_uploads(app):
    """Have the photos counted that an app has received and not answered yet."""
    lock = threading.Lock()

    def change(by):
        with lock:
            Directed.uploads += by

    @app.before_request
    def begin():
        if flask.request.method == 'POST':
            flask.g.is_upload = True
            change(1)

    @app.teardown_request
    def end(_error):
        if flask.g.pop('is_upload', False):
            change(-1)


def release(port):
    """Let the engine work until no job of another test is left, nor a photo that a page sent before it was closed."""
    Directed.go.set()
    program.until(lambda: not Directed.uploads)
    program.ready(port)
    Directed.asked.clear()


@contextmanager
def chromium(program = CHROMIUM, more = UNSEEN):
    """A browser with one more switch; the test is left out where there is none."""
    sync_api = pytest.importorskip('playwright.sync_api')
    if not program:
        pytest.skip('chromium is not installed')
    sync_api.expect.set_options(timeout = PATIENCE)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path = program, args = [*ARGUMENTS, more])
        yield browser
        browser.close()


@contextmanager
def opened(browser, port, language = 'en', refusals = False, fault = None, **options):
    """
    The page in a window as if it were new; whatever its console complains of fails the test.

    :param browser: from :func:`chromium`
    :param port: of the program
    :param language: the browser's
    :param refusals: whether answers that are errors are part of the test
    :param fault: what the console complains of as the test wants it to, and must
    :param options: of the window, as Playwright names them
    """
    wanted = {name: options.pop(name, usual) for name, usual in USUAL.items()}
    waiting = WAITING.setdefault(browser, {}).setdefault(f'{language} {sorted(options.items())}',
                                                         [])
    window = waiting.pop() if waiting else Window(browser, language, options)
    page, address, is_as_new = window.page, f'http://127.0.0.1:{port}/', False
    try:
        page.set_viewport_size(wanted.pop('viewport'))
        page.emulate_media(**wanted)
        window.open(address)
        if options.get('java_script_enabled', True):
            page.wait_for_function(WHOLLY_THERE)
        yield page
        complaints = list(window.complaints)
        if refusals:
            complaints = [c for c in complaints if 'Failed to load resource' not in c]
        if fault:
            assert any(fault in c for c in complaints)
            complaints = [c for c in complaints if fault not in c]
        assert complaints == []
        is_as_new = window.empty(address)
    finally:
        if is_as_new:
            waiting.append(window)
        else:
            window.close()


class Window:
    """A window for one page after another, none of which finds anything of those before it."""

    def __init__(self, browser, language, options):
        self.context = browser.new_context(
            locale = LOCALES[language], accept_downloads = True, **options)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.session = self.context.new_cdp_session(self.page)
        # told from the start, Chromium hands over every file chooser; told when one is expected, it may be too late
        self.page.on('filechooser', lambda chooser: None)
        self.complaints = []
        self.page.on('pageerror', lambda error: self.complaints.append(str(error)))
        self.page.on('console', self.note)
        self.is_spent = False
        self.page.__class__ = watched(type(self.page))
        self.page._window = self

    def note(self, message):
        if message.type in ('error', 'warning') and SLOW not in message.text:
            self.complaints.append(message.text)

    def open(self, address):
        """Go to a page that finds nothing which another one left in the window itself."""
        # some Chromiums keep it when they forget all else
        self.session.send('Page.enable')
        script = self.session.send('Page.addScriptToEvaluateOnNewDocument',
                                   {'source': 'sessionStorage.clear()'})
        self.page.goto(address)
        self.session.send('Page.removeScriptToEvaluateOnNewDocument', script)
        self.session.send('Page.disable')

    def empty(self, address):
        """Leave nothing of a test in it; whether that can be."""
        if self.is_spent or self.context.pages != [self.page]:
            return False
        self.page.unroute_all(behavior = 'ignoreErrors')
        self.page.mouse.move(-1, -1)
        self.page.goto('about:blank')
        self.session.send('Storage.clearDataForOrigin', {'origin': address, 'storageTypes': 'all'})
        self.complaints.clear()
        return True

    def close(self):
        # the page may be asking for something just now
        self.context.unroute_all(behavior = 'ignoreErrors')
        self.context.close()


@functools.cache
def watched(kind):
    """Pages of a kind that tell their window when something of them is used that would outlast a test."""

    class Watched(kind):

        def __getattribute__(self, name):
            if not name.startswith('_') and name not in PASSING:
                self._window.is_spent = True
            return super().__getattribute__(name)

    return Watched


def photo(kind = 'JPEG', size = (320, 180), colour = (200, 90, 60), **options):
    """A picture file."""
    content = io.BytesIO()
    Image.new('RGB', size, colour).save(content, kind, **options)
    return content.getvalue()


def file(content, name = 'photo.jpg'):
    """A file as Playwright takes it."""
    return {'name': name, 'mimeType': 'application/octet-stream', 'buffer': content}


def choose(page, content = None, name = 'photo.jpg'):
    """Choose a photo by the file field and see it, and every setting."""
    page.set_input_files('#file', file(content or photo(), name))
    see(page, 'chosen')
    page.eval_on_selector_all('#more', 'all => all.forEach((more) => { more.open = true; })')


def drop(page, *files):
    """Drop (name, content) onto the page."""
    transfer = page.evaluate_handle(DATA_TRANSFER, encoded(files))
    for event in ('dragenter', 'dragover', 'drop'):
        page.dispatch_event('.stage', event, {'dataTransfer': transfer})


def paste(page, *files):
    """Paste (name, content) into the page."""
    transfer = page.evaluate_handle(DATA_TRANSFER, encoded(files))
    page.evaluate(
        '''clipboardData => document.body.dispatchEvent(
            new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true}))''',
        transfer)


def encoded(files):
    """Contents in base64, as a script can take them."""
    return [[name, base64.b64encode(content).decode()] for name, content in files]


def see(page, state):
    """Wait for a state of the studio."""
    page.wait_for_selector(f'#studio[data-state={state}]')


def caught(page, held):
    """The first of the requests that a route of the page holds back, as soon as there is one."""
    # a route is told of a request while something is asked of the page
    program.until(lambda: page.evaluate('1') and held)
    return held.pop(0)


def shown_size(page):
    """Width and height of the photo on the stage, as the browser turned it."""
    return page.evaluate('[photo.naturalWidth, photo.naturalHeight]')


def keep(page, kind):
    """Press the download of one format: the name the browser gives the file, and what is in it."""
    with page.expect_download() as coming:
        page.click(f'#downloads [data-format={kind}] a')
    return coming.value.suggested_filename, coming.value.path().read_bytes()


def download(page):
    """The GIF: the name the browser gives the file, and the picture in it."""
    name, content = keep(page, 'gif')
    return name, Image.open(io.BytesIO(content))


def paint(page, selector):
    """The colour in the middle of a picture that the page shows."""
    return page.evaluate(
        '''async selector => {
            const canvas = new OffscreenCanvas(1, 1).getContext('2d');
            const picture = document.querySelector(selector);
            canvas.drawImage(picture, 0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
        }''', selector)


def states(page, held):
    """Walk through every state of the studio, and stop in each."""
    held.clear()
    see(page, 'empty')
    yield 'empty'
    page.set_input_files('#file', file(b'no picture', 'letter.txt'))
    page.wait_for_selector('.notice[data-kind=wrong]')
    yield 'empty, with a complaint'
    page.click('.chip')
    yield 'empty, with the engine explained'
    page.click('.chip')
    choose(page, name = 'a-rather-long-name-of-a-photo-from-a-camera-20240229-235959.jpg')
    page.fill('#seed', '-1')
    page.click('#start')
    page.locator('#seed-error', has_text = re.compile('.')).wait_for()
    yield 'chosen, with a wrong seed'
    page.fill('#seed', '503')
    page.click('#start')
    see(page, 'failed')
    yield 'failed'
    page.set_input_files('#file', [file(photo()), file(photo('PNG', (120, 200)), 'two.png')])
    page.locator('.tile', has_text = 'two').wait_for()
    page.fill('#seed', '4294967295')
    yield 'several chosen'
    page.click('#start')
    page.wait_for_selector('.preview')
    page.wait_for_selector('.tile[data-state=queued]')
    yield 'working'
    held.set()
    see(page, 'done')
    page.fill('#seed', '4294967294')
    page.wait_for_selector('.tile[data-state=done] ~ .tile[data-state=done]')
    yield 'done'
    page.locator('.tile .open').nth(1).hover()
    page.locator('.tile .remove').nth(1).click()
    yield 'done, and asked whether to delete'


def pixels(page, content, mime_type):
    """
    A picture as the browser shows it, on white: uint8 [H, W, 3]; None where it cannot.

    :param page: any page
    :param content: the file
    :param mime_type: of the file
    """
    found = page.evaluate(
        '''async ([content, type]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const picture = new Image();
            picture.src = URL.createObjectURL(new Blob([bytes], {type}));
            try { await picture.decode(); } catch { return null; }
            const [width, height] = [picture.naturalWidth, picture.naturalHeight];
            const canvas = new OffscreenCanvas(width, height).getContext('2d');
            canvas.fillStyle = 'white';
            canvas.fillRect(0, 0, width, height);
            canvas.drawImage(picture, 0, 0);
            return [width, height, [...canvas.getImageData(0, 0, width, height).data]];
        }''', [base64.b64encode(content).decode(), mime_type])
    if found is None:
        return None
    width, height, values = found
    return numpy.array(values, numpy.uint8).reshape(height, width, 4)[:, :, :3]
