#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How Stable Video Diffusion comes to the page: in a real browser, from a hub on this machine, into the real program.

Libraries: axe-playwright-python, playwright, pytest; torch and diffusers, to make a small model.
"""

import dataclasses
import re
import socket

import browser
import hub
import program
import pytest
import stand_ins
from browser import choose, download

from modules import errors
from modules.engines.contract import DepthUse, EngineStatus
from modules.engines.models import MODELS
from modules.i18n import text
from modules.weights.download import State

INI = '''
[InstallationOptions]
ModelRepositoryUrl = {url}
[StoreOptions]
ModelsHome = models
[ModelOptions]
ModelName = {name}
ImagePromptWidth = 128
ImagePromptHeight = 64
OutputFrames = 2
InferenceSteps = 2
'''

UNET = 'unet/diffusion_pytorch_model.fp16.safetensors'

COMING = State('running', 10**9, 4 * 10**9, 8e6, 300.0, UNET, 'hf-mirror.com',
               text('weights.timeout', host = 'huggingface.co'))
FAILED = State('failed', error = text('weights.offline'))


class LacksModel(stand_ins.Instant):
    """Waits for its model."""

    def status(self):
        return EngineStatus(
            text('engines.no_weights', model = self.model.model_name), fetchable = 'video')


class LacksWan(stand_ins.Instant):
    """Waits for its model as well."""

    def status(self):
        return EngineStatus(text('engines.no_weights', model = 'Wan-AI/a-model'), fetchable = 'wan')


class LacksLibraries(stand_ins.Instant):
    """Waits for its libraries."""

    def status(self):
        return EngineStatus(
            text('engines.no_libraries', engine = text('page.svd'), libraries = 'torch, diffusers'),
            fetchable = 'libraries')


class SeesDepth(stand_ins.Instant):
    """A camera for which a depth model comes."""

    has_come = False

    def status(self):
        if self.has_come:
            return EngineStatus(depth = DepthUse('a model'))
        reason = text('engines.depth_no_weights', model = 'a/model', size = 99)
        return EngineStatus(fetchable = 'depth', depth = DepthUse(reason = reason))


class Fetched:
    """Brings nothing, and says of itself what the test wants."""

    def __init__(self):
        self.now = State()

    def state(self):
        return self.now

    def start(self):
        self.now = State('running')

    def cancel(self):
        self.now = State()

    def close(self):
        pass


@pytest.fixture(scope = 'module')
def files(tmp_path_factory):
    """A repository of a small model that works."""
    tiny_checkpoint = pytest.importorskip('tiny_checkpoint')
    folder = tiny_checkpoint.make(tmp_path_factory.mktemp('checkpoint'))
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }


def closed_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return f'http://127.0.0.1:{probe.getsockname()[1]}'


def started(folder, url, **environment):
    """The program without a model, on a machine that reaches nothing but itself."""
    isolated = {'HTTPS_PROXY': closed_port(), 'HF_HOME': str(folder / 'home'), 'HF_ENDPOINT': ''}
    return program.started(
        folder, INI.format(url = url, name = hub.NAME), environment = {
            **isolated,
            **environment
        })


@pytest.fixture(scope = 'module')
def failing(tmp_path_factory):
    """The program and the only hub it reaches, in whose moods nothing can be fetched."""
    with hub.Hub(hub.model()).serving() as server, \
            started(tmp_path_factory.mktemp('failing'), server.url) as (_process, port):
        program.ready(port)
        server.port = port
        yield server


@pytest.fixture
def moody(failing):
    usual = dict(vars(failing))
    yield failing
    vars(failing).clear()
    vars(failing).update(usual)


@pytest.fixture(scope = 'module')
def staged(tmp_path_factory):
    """Pages of an app whose engines and downloads are what the test says."""
    from app import create_app
    from modules.configuration import Configuration, WebOptions
    from modules.engines.registry import Engines
    configuration = Configuration(web = WebOptions(port = 0))
    table = {'svd': (__name__, 'LacksModel'), 'camera': ('stand_ins', 'IllSet')}
    app = create_app(
        configuration, tmp_path_factory.mktemp('staged'), engines = Engines(configuration, table))
    fetched = {name: Fetched() for name in (*MODELS, 'libraries')}
    app.extensions['services'] = dataclasses.replace(
        app.extensions['services'],
        fetchers = {name: fetched[name]
                    for name in MODELS},
        libraries = fetched['libraries'])
    with program.served(app, configuration.web) as port:
        program.ready(port)
        yield port, app.extensions['services'].animator.engines, fetched


@pytest.fixture
def stage(staged):
    """Say what the page is to show."""
    _port, engines, fetched = staged
    usual = dict(engines._engines)

    def show(lacking = LacksModel, model = None, libraries = None):
        engines._engines['svd'] = lacking(usual['svd'])
        fetched['video'].now = model or State()
        fetched['libraries'].now = libraries or State()

    show()
    yield show
    show()


def words(page, selector = '.card'):
    return page.inner_text(selector).strip()


def open_card(page):
    if not page.is_visible('.card'):
        page.click('.chip')
    if page.is_visible('#owner:not([open]) > summary'):
        page.click('#owner > summary')


def switch(page, language):
    page.click('#language')
    page.wait_for_selector(f'html[lang^={language}]')


def renew(page, port, language):
    """Switch the language, and see the card in the server's words."""
    switch(page, language)
    reason = program.call(port, 'GET', f'/health?lang={language}').json['engines']['svd']
    page.locator('.card', has_text = reason).wait_for(state = 'attached')
    open_card(page)


def test_the_model_is_fetched_taken_into_use_and_makes_a_clip_without_a_reload(
        chromium, tmp_path, files):
    with hub.Hub(files).serving() as broken, hub.Hub(files).serving() as server, \
            started(tmp_path, broken.url, HF_ENDPOINT = server.url) as (_process, port), \
            browser.opened(chromium, port) as page:
        broken.status, server.speed = 403, 2_000_000
        page.evaluate('window.same = true')
        choose(page, name = '奶奶.jpg')
        page.fill('#motion_bucket_id', '90')
        assert page.locator('#settings .setting').count() == 8
        open_card(page)
        page.click('#fetch-video')
        page.wait_for_selector('#arrival-video [aria-valuenow]')
        assert re.match(r'\d.* of 5\.2 MB', words(page, '.amount'))
        assert words(page, '.elsewhere').startswith('Trying another place, because: 127.0.0.1')
        assert server.url[7:] in words(page, '#arrival-video')
        page.wait_for_selector('.engine[data-engine=svd]')
        assert words(page, '.chip').endswith('Stable Video Diffusion')
        assert words(page, '#status').startswith('Stable Video Diffusion is ready')
        page.keyboard.press('Escape')
        page.fill('#max_guidance_scale', '2')
        assert (page.input_value('#motion_bucket_id'), page.evaluate('window.same')) == ('90', True)
        page.click('#start')
        page.wait_for_selector('#studio[data-state=done]', timeout = 120_000)
        assert 'Stable Video Diffusion' in words(page, '#made')
        assert download(page)[1].n_frames == 2


def gated(server):
    server.status, server.error_code = 403, 'GatedRepo'


def not_found(server):
    server.status, server.error_code = 404, 'RepoNotFound'


def disk_full(server):
    info = server.info()
    for sibling in info['siblings']:
        sibling['size'] = 10**15
        sibling.get('lfs', {})['size'] = 10**15
    server.info = lambda: info


@pytest.mark.parametrize(('mood', 'en', 'zh'), [
    (gated, r'refuses the download \(403\): accept the licence at http', r'拒绝下载（403）.+同意许可协议'),
    (not_found, r'does not have this model or file \(404\): check ModelName',
     r'没有这个模型或文件（404）：如果改过 ModelName'),
    (disk_full, r'Not enough space for .+: \d+\.\d GB needed, .+ GB free; make room',
     r'空间不足：需要 .+ GB.+请清理磁盘'),
])
def test_a_failure_is_told_in_the_readers_language_and_can_be_tried_again(
        chromium, moody, mood, en, zh):
    mood(moody)
    with browser.opened(chromium, moody.port) as page:
        open_card(page)
        page.click('#fetch-video')
        page.locator('.card .fault', has_text = re.compile(en)).wait_for()
        assert words(page, '#fetch-video') == 'Try again'
        switch(page, 'zh')
        open_card(page)
        page.locator('.card .fault', has_text = re.compile(zh)).wait_for()
        assert words(page, '#fetch-video') == '重试'
        asked = len(moody.requests)
        page.click('#fetch-video')
        for _ in range(100):
            if len(moody.requests) > asked:
                break
            page.wait_for_timeout(50)
        assert len(moody.requests) > asked
        page.locator('.card .fault', has_text = re.compile(zh)).wait_for()


def test_a_machine_without_network_is_told_so(chromium, tmp_path):
    with started(tmp_path, closed_port()) as (_process, port), \
            browser.opened(chromium, port) as page:
        open_card(page)
        page.click('#fetch-video')
        page.locator('.card .fault', has_text = 'Cannot connect to 127.0.0.1').wait_for()
        switch(page, 'zh')
        open_card(page)
        page.locator('.card .fault', has_text = '连不上 127.0.0.1').wait_for()


def test_before_it_is_fetched_the_licence_and_the_size_are_told(chromium, staged, stage):
    with browser.opened(chromium, staged[0]) as page:
        open_card(page)
        said = words(page)
        assert 'There is no complete copy of the model stabilityai/stable-video' in said
        assert 'Download Stable Video Diffusion (about 4.5 GB)' in said
        assert re.search(r'The disk it goes to has \d+\.\d GB free', said)
        assert page.get_attribute(
            '.card a',
            'href') == ('https://huggingface.co/stabilityai/stable-video-diffusion-img2vid-xt')
        assert './START' not in said


def test_each_model_is_offered_on_its_own_and_its_download_can_be_stopped(
        chromium, staged, stage, camera):
    usual = staged[1]._engines
    staged[1]._engines = {'wan': LacksWan(usual['svd']), **usual}
    try:
        with browser.opened(chromium, staged[0], refusals = True) as page:
            open_card(page)
            assert page.eval_on_selector_all('#owner h2',
                                             'all => all.map((one) => one.innerText)') == [
                                                 'Sharper depth', 'Wan', 'Stable Video Diffusion'
                                             ]
            buttons = page.eval_on_selector_all('.fetch button',
                                                'all => all.map((one) => one.innerText)')
            assert buttons == [
                'Get sharper depth (99 MB, Apache-2.0)', 'Download Wan (about 34.2 GB)',
                'Download Stable Video Diffusion (about 4.5 GB)'
            ]
            said = words(page)
            assert said.count(
                'The disk it goes to has') == 2 and 'Licence Apache-2.0: Wan-AI/' in said
            page.click('#fetch-wan')
            page.locator('#arrival-wan').wait_for()
            part = 'transformer/diffusion_pytorch_model-00001-of-00005.safetensors'
            staged[2]['wan'].now = State('running', 10**9, 34 * 10**9, 8e6, 4000.0, part, 'a.b')
            page.locator('#arrival-wan', has_text = 'the part that imagines movement').wait_for()
            # a LoRA file lies where its publisher wants it
            for part in ('for-few-steps/high.safetensors', 'high.safetensors'):
                staged[2]['wan'].now = State('running', 10**9, 34 * 10**9, 8e6, 4000.0, part, 'a.b')
                page.locator('#arrival-wan', has_text = 'Now a file of the model').wait_for()
                staged[2]['wan'].now = State('running', 10**9, 34 * 10**9, 8e6, 4000.0,
                                             'model_index.json', 'a.b')
                page.locator('#arrival-wan', has_text = 'Now its settings').wait_for()
            assert page.locator('#fetch-video').count() == page.locator('#fetch-depth').count() == 1
            page.route('**/model/download*', lambda route: route.abort('connectionrefused'))
            page.click('#stop-wan')
            page.locator('#stop-wan-fault', has_text = 'The program cannot be reached.').wait_for()
            page.unroute('**/model/download*')
            page.click('#stop-wan')
            page.locator('#fetch-wan').wait_for()
            assert staged[2]['wan'].now.state == 'idle'
    finally:
        staged[1]._engines = usual
        staged[2]['wan'].now = State()


def test_a_stranger_sees_one_line_and_nothing_for_the_owner(chromium, staged, stage):
    stage(model = State('failed', error = text('weights.cannot_write', path = '/x', reason = '')))
    options = {'extra_http_headers': {'X-Forwarded-For': '203.0.113.5'}}
    with browser.opened(chromium, staged[0], **options) as page:
        page.click('.chip')
        assert re.fullmatch(r'No AI model is loaded[^\n]*\n+Version \S+', words(page))
        assert page.locator('.card :is(button, a, summary, code)').count() == 0


def test_a_refused_press_is_told_in_the_card(chromium, staged, stage):
    with browser.opened(chromium, staged[0], refusals = True) as page:
        open_card(page)
        page.route('**/model/download*', lambda route: route.abort('connectionrefused'))
        page.click('#fetch-video')
        page.locator('#fetch-video-fault', has_text = 'The program cannot be reached.').wait_for()
        # it stays, in words of the language switched to
        renew(page, staged[0], 'zh')
        assert words(page, '#fetch-video-fault').startswith('连接不上程序')
        refusal = errors.TooManyStreams()
        page.route(
            '**/model/download*',
            lambda route: route.fulfill(status = refusal.status, json = refusal.to_json('zh')))
        page.click('#fetch-video')
        page.locator('#fetch-video-fault', has_text = refusal.text.in_('zh')).wait_for()
        renew(page, staged[0], 'en')
        assert words(page, '#fetch-video-fault') == refusal.text.in_('en')


def test_the_keyboard_stays_in_the_card_while_it_changes(chromium, staged, stage):
    with browser.opened(chromium, staged[0]) as page:
        page.focus('summary')
        for key in ('Enter', 'Tab', 'Enter', 'Tab', 'Enter'):
            page.keyboard.press(key)
        page.locator('#arrival-video', has_text = 'Finding where to download it').wait_for()
        assert page.evaluate('document.activeElement.id') == 'card'
        stage(model = FAILED)
        page.locator('.card .fault', has_text = 'HF_HUB_OFFLINE').wait_for()
        page.keyboard.press('Tab')
        page.keyboard.press('Tab')
        assert page.evaluate('document.activeElement.id') == 'fetch-video'


def test_without_javascript_the_command_line_is_told(chromium, staged, stage):
    with browser.opened(chromium, staged[0], java_script_enabled = False) as page:
        open_card(page)
        assert 'Run ./START download' in words(page)
        assert not page.is_visible('#fetch-video')


def test_libraries_arrive_and_make_room_for_the_model(chromium, staged, stage):
    stage(LacksLibraries)
    with browser.opened(chromium, staged[0]) as page:
        open_card(page)
        assert 'Run ./START --svd (on Windows START.bat --svd)' in words(page)
        name = 'torch-2.13.0-cp311-cp311-linux_x86_64.whl'
        stage(LacksLibraries, libraries = State('running', 212_000_000, 799_000_000, file = name))
        open_card(page)
        open_card(page)
        page.locator('.amount', has_text = '212.0 MB of 799.0 MB').wait_for()
        assert words(page, '.arrival .fine') == 'Now torch 2.13.0'
        stage(LacksLibraries, libraries = State('running', 700_000_000, 799_000_000, file = name))
        page.locator('.amount', has_text = '700.0 MB of 799.0 MB').wait_for()
        stage(libraries = State('done'))
        page.locator('#fetch-video').wait_for()


@pytest.fixture
def camera(staged):
    """A camera motion that lacks its depth model, until the test says that it has come."""
    engines = staged[1]._engines
    usual, engines['camera'] = engines['camera'], SeesDepth(engines['camera'])
    yield engines['camera']
    engines['camera'] = usual
    staged[2]['depth'].now = State()


def test_sharper_depth_is_offered_fetched_and_used_without_a_reload(chromium, staged, stage,
                                                                    camera):
    with browser.opened(chromium, staged[0]) as page:
        open_card(page)
        assert words(page).startswith('No AI model is loaded')
        assert 'The depth model a/model is not on this computer; ./START download' in words(page)
        assert 'Download Stable Video Diffusion' in words(page)
        assert words(page, '#fetch-depth') == 'Get sharper depth (99 MB, Apache-2.0)'
        page.set_viewport_size({'width': 320, 'height': 640})
        # what is typed stands in one line
        lines = page.eval_on_selector_all(
            '.card code',
            'all => all.filter((one) => one.checkVisibility()).map((one) => one.getClientRects().length)'
        )
        assert lines and set(lines) == {1}
        switch(page, 'zh')
        open_card(page)
        assert words(page, '#fetch-depth') == '增强立体感（99 MB，Apache-2.0）'
        page.click('#fetch-depth')
        page.locator('#arrival-depth').wait_for()
        assert page.locator(
            '#fetch-video').count() == 1, 'the other model may be fetched all the same'
        file = 'onnx/model.onnx'
        staged[2]['depth'].now = State('running', 20_000_000, 99_100_000, 5e6, 16.0, file, 'a.b')
        page.locator('#arrival-depth', has_text = '20.0 MB / 99.1 MB').wait_for()
        assert '正在下载深度模型，来自 a.b' in words(page, '#arrival-depth')
        staged[2]['depth'].now, camera.has_come = State('done'), True
        page.locator('.card', has_text = '分辨照片的远近').wait_for()
        page.locator('#status', has_text = '深度模型已经就绪，下一个作品就会用到。').wait_for()
        assert words(page).startswith('AI 模型 Depth Anything V2')
        switch(page, 'en')
        open_card(page)
        assert 'Download Stable Video Diffusion' in words(page) and 'No AI' not in words(page)
        assert page.locator('#fetch-depth').count() == 0


def test_a_failure_of_sharper_depth_stands_with_it(chromium, staged, stage, camera):
    staged[2]['depth'].now = FAILED
    with browser.opened(chromium, staged[0], refusals = True) as page:
        open_card(page)
        assert 'HF_HUB_OFFLINE' in words(page)
        assert page.locator('#fetch-depth').count() == 1
        page.route('**/model/download*', lambda route: route.abort('connectionrefused'))
        page.click('#fetch-depth')
        page.locator('#fetch-depth-fault', has_text = 'The program cannot be reached.').wait_for()


def test_a_stranger_is_offered_no_sharper_depth(chromium, staged, stage, camera):
    options = {'extra_http_headers': {'X-Forwarded-For': '203.0.113.5'}}
    with browser.opened(chromium, staged[0], **options) as page:
        open_card(page)
        assert page.locator('#fetch-depth').count() == 0


def test_time_left_and_parts_are_told_in_plain_words(chromium, staged, stage):
    coming = State('running', 1_230_000_000, 4_510_000_000, 8_400_000, 3910, UNET, 'hf-mirror.com')
    stage(model = coming)
    with browser.opened(chromium, staged[0], 'zh') as page:
        open_card(page)
        assert words(page, '.amount') == '1.23 GB / 4.51 GB · 8.4 MB/s · 还剩 1 小时 5 分'
        assert words(page, '.arrival .fine') == '正在下载生成动作的部分，来自 hf-mirror.com'
        assert page.get_attribute('#arrival-video .progress', 'aria-valuenow') == '27'
        switch(page, 'en')
        open_card(page)
        page.locator('.amount', has_text = '1.23 GB of 4.51 GB · 8.4 MB/s · 1 h 5 min').wait_for()


def test_a_page_in_the_background_asks_for_nothing(chromium, staged, stage):
    stage(model = State('running'))
    with browser.opened(chromium, staged[0]) as page:
        asked = []
        page.on('request', lambda request: asked.append(request.url))
        page.evaluate('''() => {
            Object.defineProperty(document, 'hidden', {value: true});
            document.dispatchEvent(new Event('visibilitychange'));
        }''')
        asked.clear()
        page.wait_for_timeout(2300)
        assert not [address for address in asked if address.endswith('/health')]


def test_settings_that_give_mush_are_warned_about_beside_them(chromium, staged, stage):
    with browser.opened(chromium, staged[0]) as page:
        choose(page)
        assert 'trained for 25 frames, and OutputFrames is 72' in words(page, '#warnings')
        page.fill('#seed', '7')
        switch(page, 'zh')
        page.locator('#warnings', has_text = '按 25 帧训练').wait_for()
        assert page.input_value('#seed') == '7'


@pytest.mark.parametrize(('language', 'scheme', 'states'), [
    ('en', 'light', (State(), FAILED)),
    ('zh', 'dark', (COMING, FAILED)),
])
def test_no_state_of_the_card_has_findings_of_axe(chromium, staged, stage, language, scheme,
                                                  states):
    axe = pytest.importorskip('axe_playwright_python.sync_playwright').Axe()
    found = []
    for state in states:
        stage(model = state)
        with browser.opened(chromium, staged[0], language, color_scheme = scheme) as page:
            choose(page)
            open_card(page)
            violations = axe.run(page).response['violations']
            found += [(state, v['id'], v['nodes'][0]['html']) for v in violations]
    assert found == []


def test_on_a_small_phone_the_card_fits(chromium, staged, stage):
    stage(model = FAILED)
    with browser.opened(
            chromium, staged[0], has_touch = True, viewport = {
                'width': 320,
                'height': 640
            }) as page:
        open_card(page)
        assert page.evaluate('document.documentElement.scrollWidth') == 320
        box = page.locator('#fetch-video').bounding_box()
        assert (box['x'] >= 0, box['x'] + box['width'] <= 320, box['height'] >= 44) == (True, ) * 3
