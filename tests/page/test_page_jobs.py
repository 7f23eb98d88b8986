#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How the page lives with its jobs, in a real browser: on the way, at work, done, lost and found again.

Libraries: axe-playwright-python, Pillow, playwright, pytest.
"""

import io
import re
import zipfile

import browser
import program
import pytest
from browser import Directed, caught, choose, drop, file, keep, paint, photo, see
from PIL import Image

expect = pytest.importorskip('playwright.sync_api').expect

CAMERA = ('[ModelOptions]\nEngine = camera\nImagePromptWidth = 256\nImagePromptHeight = 128\n'
          'Seconds = 1\nOutputFPS = 6\n')

#: the page believes that nobody looks at it
HIDE = '''() => {
    Object.defineProperty(document, 'hidden', {value: true, configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}'''

#: notifications are written down instead of shown
WRITE_DOWN = '''window.announced = [];
window.Notification = class extends EventTarget {
    static permission = '%s';
    static async requestPermission() { return this.permission = 'granted'; }
    constructor(words) { super(); window.announced.push(words); }
    close() {}
};'''

BLOCKED = '''for (const name of ['localStorage', 'sessionStorage']) {
    Object.defineProperty(window, name, {get() { throw new DOMException('', 'SecurityError'); }});
}'''


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    """The whole program, with camera motion."""
    with program.started(tmp_path_factory.mktemp('page'), CAMERA) as (_process, port):
        program.ready(port)
        yield port


@pytest.fixture
def held(directed_port):
    """The engine waits in its first step until ``set``; no job of another test is in its way."""
    browser.release(directed_port)
    Directed.go.clear()
    yield Directed.go
    Directed.go.set()


@pytest.fixture
def directed(chromium, directed_port, held):
    with browser.opened(chromium, directed_port, refusals = True) as page:
        yield page
        held.set()


def start(page, *names):
    """Choose photos and begin."""
    page.set_input_files('#file', [file(photo(), name) for name in names or ['photo.jpg']])
    see(page, 'chosen')
    page.click('#start')


def working(page):
    expect(page.locator('#sentence')).to_contain_text('Step 1 of 4')


def tile(page, name):
    return page.locator('.tile').filter(has = page.locator('.name', has_text = name))


def state_of(page, name, state):
    expect(tile(page, name)).to_have_attribute('data-state', state)


def remembered(page):
    return page.evaluate('JSON.parse(localStorage["turn-live-photos:/"] ?? "[]").map(({id}) => id)')


# ---- at work ----


def test_the_clip_is_seen_as_it_forms_over_the_photo_and_then_in_its_place(directed, held):
    start(directed)
    expect(directed.locator('.preview')).to_be_visible()
    expect(directed.locator('#photo')).to_be_visible()
    preview = directed.locator('.preview')
    assert preview.evaluate('one => [one.naturalWidth, one.naturalHeight]')[0] <= 512
    # the stand-in turns the colours round
    red, _green, blue = paint(directed, '.preview')
    assert red < 100 < blue
    held.set()
    see(directed, 'done')
    expect(directed.locator('#clip')).to_be_visible()


def test_the_bar_stands_where_the_steps_are(directed, held):
    start(directed)
    working(directed)
    expect(directed.locator('#progress')).to_have_attribute('aria-valuenow', '21')
    expect(directed).to_have_title(re.compile(r'^Step 1 of 4(, (about )?\d+ s left)?$'))
    held.set()
    see(directed, 'done')
    expect(directed).to_have_title('Done · turn-live-photos')


def test_a_screen_reader_hears_of_quarters_not_of_every_step(page):
    page.evaluate('''() => {
        window.heard = [];
        const listen = () => heard.push(document.getElementById('status').textContent);
        new MutationObserver(listen).observe(document.getElementById('status'), {childList: true});
    }''')
    start(page)
    see(page, 'done')
    expect(page.locator('#status')).to_have_text('Done. The photo has come to life.')
    heard = [words for words in page.evaluate('heard') if '%' in words]
    assert set(heard) <= {'25% done', '50% done', '75% done'}
    assert len(heard) == len(set(heard))


def test_the_time_left_runs_down_and_does_not_flicker(page):
    page.clock.install()
    page.clock.pause_at('2030-01-01')
    left = page.evaluate('''async () => {
        const {Countdown} = await import('./static/js/countdown.js');
        window.count = new Countdown();
        count.update(40);
        return count.left;
    }''')
    assert left == 40
    page.clock.run_for(5000)
    assert page.evaluate('count.left') == 35
    assert page.evaluate('count.update(38), count.left') == 35
    assert page.evaluate('count.update(null), count.left') == 35
    assert page.evaluate('count.update(90), count.left') == 90
    assert page.evaluate('count.update(20), count.left') == 20
    page.clock.run_for(21000)
    assert page.evaluate('count.left') is None


def test_the_time_left_is_said_in_seconds_minutes_and_hours(page):
    said = page.evaluate('''async () => {
        const load = (name) => import(document.querySelector(`[href*="js/${name}"]`).href);
        const [{span}, {say}] = await Promise.all([load('countdown'), load('words')]);
        return [1, 89, 90, 3599, 5400].map((seconds) => say(...span(seconds)));
    }''')
    assert said == ['1 s', '89 s', '2 min', '1 h 0 min', '1 h 30 min']


def test_the_place_in_line_is_told(chromium, directed_port, directed, held):
    start(directed)
    working(directed)
    with browser.opened(chromium, directed_port) as other, \
            browser.opened(chromium, directed_port, 'zh') as third:
        start(other)
        expect(other.locator('#sentence')).to_contain_text('Next in line')
        start(third)
        expect(third.locator('#sentence')).to_contain_text('前面还有 1 张')
        held.set()
        for one in (directed, other, third):
            see(one, 'done')


def test_nobody_is_next_in_line_where_nobody_is_ahead(directed, held):
    # however slow this machine is, it is begun within the moment that the page allows for it
    directed.clock.set_fixed_time('2030-01-01')
    directed.evaluate('''() => {
        window.said = [];
        const sentence = document.getElementById('sentence');
        new MutationObserver(() => said.push(sentence.textContent)).observe(sentence, {childList: true});
    }''')
    start(directed)
    working(directed)
    assert not [words for words in directed.evaluate('said') if 'in line' in words]


def test_again_and_cancel_leave_everything_as_it_was(directed, held):
    held.set()
    choose(directed)
    directed.fill('#seed', '7')
    directed.click('#start')
    see(directed, 'done')
    held.clear()
    directed.click('#again')
    working(directed)
    directed.click('#cancel')
    see(directed, 'done')
    assert (directed.is_visible('#redo'), directed.input_value('#seed')) == (False, '7')
    expect(directed.locator('.tile')).to_have_count(1)


def test_the_invitation_is_not_read_out_while_a_photo_is_on_the_table(directed, held):
    start(directed)
    working(directed)
    heard = directed.locator('main').aria_snapshot()
    for selector in ('.how', '#choose', '#accepted'):
        assert directed.locator(selector).first.text_content().strip() not in heard
    assert 'heading' in heard
    held.set()
    see(directed, 'done')


def test_two_quick_taps_select_no_words(directed, held):
    held.set()
    start(directed)
    see(directed, 'done')
    for selector in ('.hint', '#live', '.tile .name'):
        box = directed.locator(selector).bounding_box()
        directed.mouse.dblclick(box['x'] + box['width'] / 2, box['y'] + box['height'] / 2)
        assert directed.evaluate('getSelection().toString()').strip() == ''


def test_a_strip_that_was_scrolled_shows_the_newest(directed):
    directed.set_input_files('#file', [file(photo(), f'{number}.jpg') for number in range(12)])
    expect(directed.locator('.tile')).to_have_count(12)
    directed.evaluate("document.querySelector('.strip').scrollLeft = 900")
    directed.click('#start')
    working(directed)
    drop(directed, ('new.jpg', photo()))
    expect(directed.locator('.tile .name').first).to_have_text('new')
    directed.wait_for_function("() => document.querySelector('.strip').scrollLeft === 0")


def test_the_bar_of_buttons_leaves_a_small_screen_to_the_rest(chromium, directed_port, held):
    held.set()
    with browser.opened(chromium, directed_port, viewport = {'width': 360, 'height': 640}) as page:
        choose(page)
        assert page.locator('.actions').bounding_box()['height'] <= 0.12 * 640
        page.click('#start')
        see(page, 'done')
        assert page.locator('.actions').bounding_box()['height'] <= 0.12 * 640


def test_cancel_stops_what_waits_in_line_at_once(chromium, directed_port, directed):
    start(directed)
    working(directed)
    with browser.opened(chromium, directed_port) as other:
        start(other)
        expect(other.locator('#sentence')).to_contain_text('Next in line')
        other.click('#cancel')
        see(other, 'chosen')
        expect(other.locator('#start')).to_be_focused()
    assert len(Directed.asked) == 1


def test_only_the_upload_itself_warns_of_leaving(directed, held):
    may_leave = "window.dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    waiting = []
    directed.route('**/jobs', lambda route: waiting.append(route))
    start(directed)
    expect(directed.locator('#sentence')).to_have_text('Sending the photo…')
    assert directed.evaluate(may_leave) is False
    caught(directed, waiting).continue_()
    working(directed)
    assert directed.evaluate(may_leave) is True
    held.set()
    see(directed, 'done')


def test_an_upload_can_be_called_back(directed, held):
    directed.route('**/jobs', lambda route: None)
    start(directed)
    expect(directed.locator('#sentence')).to_have_text('Sending the photo…')
    directed.click('#cancel')
    see(directed, 'chosen')
    directed.unroute('**/jobs')
    directed.click('#start')
    held.set()
    see(directed, 'done')


def test_what_was_accepted_although_it_was_called_back_is_removed(directed, directed_port):
    waiting = []
    directed.route('**/jobs', lambda route: waiting.append(route))
    start(directed)
    expect(directed.locator('#sentence')).to_have_text('Sending the photo…')
    with directed.expect_request(lambda request: request.method == 'DELETE'):
        directed.click('#cancel')
        see(directed, 'chosen')
        caught(directed, waiting).continue_()
    program.ready(directed_port)
    assert remembered(directed) == []


def test_loop_and_smoothness_are_chosen_where_the_engine_loops_not_by_itself(directed, held, page):
    choose(page)
    expect(page.locator('#motion_bucket_id')).to_be_visible()
    assert page.locator('#loop').count() == page.locator('#smooth').count() == 0
    choose(directed)
    directed.select_option('#loop', 'pingpong')
    directed.select_option('#smooth', '4')
    directed.click('#start')
    held.set()
    see(directed, 'done')
    assert (Directed.asked[-1].loop, Directed.asked[-1].smooth) == ('pingpong', 4)
    directed.get_by_role('button', name = 'Reset Loop').click()
    assert directed.input_value('#loop') == 'none'


def test_speed_is_chosen_where_the_engine_can_give_exactness_for_it(directed, held, page):
    choose(page)
    expect(page.locator('#motion_bucket_id')).to_be_visible()
    assert page.locator('#preset').count() == 0
    choose(directed)
    assert directed.input_value('#preset') == 'quality'
    directed.select_option('#preset', 'fast')
    directed.click('#start')
    held.set()
    see(directed, 'done')
    assert Directed.asked[-1].preset == 'fast'
    directed.get_by_role('button', name = 'Reset Speed and quality').click()
    assert directed.input_value('#preset') == 'quality'


# ---- done ----


def test_all_five_formats_are_what_they_say(page):
    start(page, '奶奶 1968.jpeg')
    see(page, 'done')
    rows = page.locator('#downloads li')
    names = ['live-photo', 'motion-photo', 'gif', 'mp4', 'webp']
    assert rows.evaluate_all('all => all.map((one) => one.dataset.format)') == names
    expect(page.locator('[data-format=gif] .size')).to_have_text('tap to make')
    kept = {name: keep(page, name) for name in names}
    for name in names:
        size = f'{-(-len(kept[name][1]) // 1000)} kB'
        expect(page.locator(f'[data-format={name}] .size')).to_have_text(size)
    assert kept['live-photo'][0] == '奶奶 1968.pvt.zip'
    with zipfile.ZipFile(io.BytesIO(kept['live-photo'][1])) as bundle:
        assert bundle.testzip() is None
        ends = {name.rpartition('.')[2] for name in bundle.namelist()}
        assert {'JPG', 'MOV', 'plist'} <= ends
    assert re.fullmatch(r'IMG_\d{8}_\d{6}_\d{6}_MP\.jpg', kept['motion-photo'][0])
    assert b'ftyp' in kept['motion-photo'][1]
    assert (kept['mp4'][0], kept['mp4'][1][4:8]) == ('奶奶 1968.mp4', b'ftyp')
    for name, kind in (('motion-photo', 'JPEG'), ('gif', 'GIF'), ('webp', 'WEBP')):
        assert Image.open(io.BytesIO(kept[name][1])).format == kind


def test_a_format_that_cannot_be_made_says_so_in_its_place(directed, held):
    held.set()
    start(directed)
    see(directed, 'done')
    refusal = {'message': 'No room on the disk.', 'code': 'disk_full', 'field': None}
    directed.route('**/result?format=webp*',
                   lambda route: route.fulfill(status = 503, json = refusal))
    directed.click('[data-format=webp] a')
    expect(directed.locator('[data-format=webp] .wrong')).to_have_text('No room on the disk.')
    expect(directed.locator('[data-format=webp] .size')).to_have_text('tap to make')
    directed.unroute('**/result?format=webp*')
    assert keep(directed, 'webp')[0] == 'photo.webp'
    expect(directed.locator('[data-format=webp] .wrong')).to_be_empty()


def test_what_a_format_gave_up_is_told_beside_it(directed, held):

    def noted(route):
        answer = route.fetch()
        job = answer.json()
        for result in job['results']:
            result['note'] = 'Fewer colours.' if result['format'] == 'gif' else None
        route.fulfill(response = answer, json = job)

    held.set()
    directed.route(re.compile(r'/jobs/\w+$'), noted)
    start(directed)
    see(directed, 'done')
    directed.reload()
    expect(directed.locator('[data-format=gif] .note')).to_have_text('Fewer colours.')


# ---- lost and found ----


def test_a_reload_in_mid_work_finds_the_job_again(directed, held):
    choose(directed, name = 'kept.jpg')
    directed.fill('#motion_bucket_id', '33')
    directed.click('#start')
    working(directed)
    directed.reload()
    working(directed)
    expect(directed.locator('#photo')).to_be_visible()
    expect(directed.locator('.preview')).to_be_visible()
    assert directed.input_value('#motion_bucket_id') == '33'
    held.set()
    see(directed, 'done')
    assert keep(directed, 'gif')[0] == 'kept.gif'
    assert len(Directed.asked) == 1


def test_what_was_finished_meanwhile_is_there_after_coming_back(directed, directed_port, held):
    start(directed)
    working(directed)
    directed.goto('about:blank')
    held.set()
    program.ready(directed_port)
    directed.go_back()
    see(directed, 'done')
    expect(directed.locator('#clip')).to_be_visible()


def test_a_new_tab_shows_what_is_at_work(directed, directed_port, held):
    start(directed)
    working(directed)
    other = directed.context.new_page()
    other.goto(f'http://127.0.0.1:{directed_port}/')
    working(other)
    other.close()


@pytest.mark.parametrize('trouble', ['refused', 'broken', 'silent'])
def test_where_the_stream_fails_the_page_asks_by_itself(directed, held, trouble):
    acts = {
        'refused': lambda route: route.fulfill(status = 503, json = {}),
        'broken': lambda route: route.abort('connectionreset'),
        'silent': lambda route: None
    }
    directed.route('**/events', acts[trouble])
    start(directed)
    working(directed)
    held.set()
    see(directed, 'done')


def test_a_lost_connection_is_told_and_found_again(directed, held):
    start(directed)
    working(directed)
    lost = re.compile(r'/jobs/\w+(/events)?$')
    directed.route(lost, lambda route: route.abort('internetdisconnected'))
    directed.evaluate("window.dispatchEvent(new Event('online'))")
    expect(directed.locator('#sentence')).to_contain_text('Connection lost')
    directed.unroute(lost)
    working(directed)
    held.set()
    see(directed, 'done')


def test_a_browser_without_network_finds_its_job_when_it_has_one_again(directed, held):
    start(directed)
    working(directed)
    directed.context.set_offline(True)
    held.set()
    directed.context.set_offline(False)
    see(directed, 'done')
    expect(directed.locator('#clip')).to_be_visible()


def test_a_restart_of_the_program_loses_nothing(chromium, tmp_path):
    slow = CAMERA.replace('Seconds = 1', 'Seconds = 4').replace('256', '1024').replace('128', '576')
    with program.started(tmp_path, slow) as (process, port):
        program.ready(port)
        with browser.opened(chromium, port, refusals = True) as page:
            page.set_input_files('#file', file(photo(size = (1200, 800))))
            page.click('#start')
            expect(page.locator('#sentence')).to_contain_text('Step ')
            process.kill()
            process.wait()
            expect(page.locator('#sentence')).to_contain_text('Connection lost')
            with program.started(tmp_path, slow, ('--port', str(port))):
                expect(page.locator('#clip')).to_be_visible(timeout = 120_000)
                see(page, 'done')


def test_there_is_never_more_than_one_who_asks(directed, held):
    asked = []
    directed.route('**/events', lambda route: route.abort('connectionreset'))
    directed.on('request', lambda request: asked.append(request.url))
    start(directed)
    working(directed)
    job = re.compile(r'/jobs/\w+$')
    for _ in range(10):
        directed.evaluate("window.dispatchEvent(new Event('online'))")
    directed.wait_for_timeout(1000)
    asked.clear()
    directed.wait_for_timeout(4500)
    # one each second and a half
    assert 0 < len([address for address in asked if job.search(address)]) <= 4


def test_a_job_that_has_gone_in_mid_work_is_told_and_the_photo_kept(directed, directed_port, held):
    directed.route('**/events', lambda route: route.abort('connectionreset'))
    start(directed)
    working(directed)
    [job] = remembered(directed)
    program.call(directed_port, 'DELETE', f'/jobs/{job}')
    expect(directed.locator('#notice')).to_contain_text('This clip is no longer on the server')
    see(directed, 'chosen')
    expect(directed.locator('#photo')).to_be_visible()
    assert remembered(directed) == []
    directed.click('#start')
    held.set()
    see(directed, 'done')


def test_where_nothing_may_be_stored_all_else_works(chromium, directed_port, held):
    with browser.opened(chromium, directed_port) as page:
        page.add_init_script(BLOCKED)
        page.reload()
        start(page)
        working(page)
        held.set()
        see(page, 'done')
        expect(page.locator('.tile')).to_have_count(1)


# ---- several photos ----


def test_several_photos_dropped_at_once_become_several_jobs(directed, held):
    drop(
        directed,
        *((f'{name}.png', photo('PNG', size))
          for name, size in (('one', (120, 200)), ('two', (200, 120)), ('three', (90, 90)))))
    see(directed, 'chosen')
    expect(directed.locator('#notice')).to_contain_text('3 photos')
    expect(directed.locator('.tile .name')).to_have_text(['one', 'two', 'three'])
    expect(directed.locator('#start')).to_have_text('Bring all 3 to life')
    directed.fill('#motion_bucket_id', '9')
    directed.click('#start')
    working(directed)
    state_of(directed, 'two', 'queued')
    state_of(directed, 'three', 'queued')
    held.set()
    for name in ('one', 'two', 'three'):
        state_of(directed, name, 'done')
    see(directed, 'done')
    assert [asked.motion_bucket_id for asked in Directed.asked] == [9, 9, 9]
    assert [asked.stem for asked in Directed.asked] == ['one', 'two', 'three']


def test_one_of_several_can_be_taken_out_before_and_after(directed, held):
    directed.set_input_files('#file', [file(photo(), f'{name}.jpg') for name in 'abc'])
    tile(directed, 'b').hover()
    directed.get_by_role('button', name = 'Delete b').click()
    expect(directed.locator('.tile .name')).to_have_text(['a', 'c'])
    expect(directed.locator('#start')).to_have_text('Bring all 2 to life')
    directed.click('#start')
    state_of(directed, 'c', 'queued')
    tile(directed, 'c').hover()
    directed.get_by_role('button', name = 'Delete c').click()
    tile(directed, 'c').get_by_role('button', name = 'Delete', exact = True).click()
    expect(tile(directed, 'c')).to_have_count(0)
    held.set()
    see(directed, 'done')
    assert [asked.stem for asked in Directed.asked] == ['a']


def test_a_full_line_is_waited_for_as_long_as_the_server_asks(directed, held):
    turns = []

    def full(route):
        turns.append(route.request.post_data_buffer)
        if len(turns) != 2:
            route.continue_()
            return
        refusal = {'message': 'Full.', 'code': 'queue_full', 'field': None}
        route.fulfill(status = 503, json = refusal, headers = {'Retry-After': '3'})

    directed.route('**/jobs', full)
    start(directed, 'one.jpg', 'two.jpg')
    state_of(directed, 'two', 'waiting')
    tile(directed, 'two').locator('.open').click()
    expect(directed.locator('#sentence')).to_contain_text('The queue is full')
    state_of(directed, 'two', 'queued')
    held.set()
    state_of(directed, 'two', 'done')
    state_of(directed, 'one', 'done')
    assert len(turns) == 3


def test_what_is_no_photo_is_named_at_once_and_left_out(directed, held):
    held.set()
    directed.set_input_files('#file', [
        file(photo(), 'one.jpg'),
        file(b'Dear Sir', 'letter.pdf'),
        file(photo(), 'two.jpg'),
        file(bytes(100), 'nothing.jpg')
    ])
    see(directed, 'chosen')
    expect(directed.locator('#notice')).to_contain_text('can be used: letter.pdf, nothing.jpg')
    expect(directed.locator('.tile .name')).to_have_text(['one', 'two'])
    directed.click('#start')
    state_of(directed, 'two', 'done')
    see(directed, 'done')


def test_how_many_are_done_is_told_and_all_are_saved_as_one_zip(directed, held):
    start(directed, '猫.jpg', 'two.jpg', 'two.jpg')
    working(directed)
    expect(directed.locator('#tally')).to_have_text('0 of 3 done')
    expect(directed.locator('#sentence')).to_have_text('Step 1 of 4 · 0 of 3 done')
    expect(directed).to_have_title('Step 1 of 4 · 0 of 3 done')
    expect(directed.locator('#save-all')).to_be_hidden()
    held.set()
    expect(directed.locator('#tally')).to_have_text('3 of 3 done')
    with directed.expect_download() as coming:
        directed.get_by_role('button', name = 'Save all 3').click()
    assert coming.value.suggested_filename == 'turn-live-photos-3.zip'
    with zipfile.ZipFile(coming.value.path()) as bundle:
        assert bundle.testzip() is None
        assert sorted(bundle.namelist()) == ['two (2).mp4', 'two.mp4', '猫.mp4']


def test_a_zip_of_what_has_gone_says_so_and_mends_the_list(directed, directed_port, held):
    held.set()
    start(directed, 'one.jpg', 'two.jpg', 'three.jpg')
    expect(directed.locator('#tally')).to_have_text('3 of 3 done')
    program.call(directed_port, 'DELETE', f'/jobs/{remembered(directed)[0]}')
    directed.click('#save-all')
    expect(directed.locator('#notice')).to_contain_text('no longer there')
    expect(directed.locator('#save-all')).to_have_text('Save all 2')


def test_on_a_phone_the_others_are_in_sight_while_one_is_at_work(chromium, directed_port, held):
    with browser.opened(chromium, directed_port, viewport = {'width': 390, 'height': 844}) as page:
        start(page, 'one.jpg', 'two.jpg', 'three.jpg')
        working(page)
        box = tile(page, 'two').locator('.frame').bounding_box()
        assert 0 < box['y'] < box['y'] + box['height'] <= 844
        assert page.locator('#tally').bounding_box()['y'] < box['y']
        # and below them, with what it is made
        assert page.locator('#in-use').bounding_box()['y'] > box['y']
        expect(page.locator('#in-use')).to_contain_text('You can leave this page')
        held.set()
        see(page, 'done')


def test_a_cancelled_clip_does_not_stay(directed, directed_port, held):
    start(directed, 'one.jpg', 'two.jpg')
    state_of(directed, 'two', 'queued')
    two, _one = remembered(directed)
    tile(directed, 'two').locator('.open').click()
    directed.click('#cancel')
    see(directed, 'chosen')
    # its photo is still there to begin with
    state_of(directed, 'two', 'ready')
    program.until(lambda: program.call(directed_port, 'GET', f'/jobs/{two}').status == 404)
    program.until(lambda: len(remembered(directed)) == 1)
    directed.reload()
    expect(directed.locator('.tile[data-state=running] .name')).to_have_text(['one'])
    expect(directed.locator('.tile[data-state=cancelled]')).to_have_count(0)


def test_tabs_know_of_each_others_clips(directed, directed_port, held):
    other = directed.context.new_page()
    other.goto(f'http://127.0.0.1:{directed_port}/')
    see(other, 'empty')
    start(directed, 'one.jpg')
    working(directed)
    state_of(other, 'one', 'running')
    assert other.get_attribute('#studio', 'data-state') == 'empty'
    held.set()
    state_of(other, 'one', 'done')
    tile(other, 'one').hover()
    other.get_by_role('button', name = 'Delete one').click()
    tile(other, 'one').get_by_role('button', name = 'Delete', exact = True).click()
    # the photo that is on the table is not taken away
    state_of(directed, 'one', 'ready')
    expect(directed.locator('#notice')).to_contain_text('no longer on the server')
    other.close()


def test_a_photo_may_be_chosen_while_another_is_at_work(directed, held):
    start(directed, 'one.jpg')
    working(directed)
    drop(directed, ('two.jpg', photo()))
    see(directed, 'chosen')
    state_of(directed, 'one', 'running')
    held.set()
    state_of(directed, 'one', 'done')
    assert directed.get_attribute('#studio', 'data-state') == 'chosen'


# ---- before ----


def test_an_earlier_clip_comes_back_with_its_settings_and_can_be_made_again(directed, held):
    held.set()
    choose(directed, photo(size = (180, 320)), 'early.jpg')
    directed.fill('#motion_bucket_id', '21')
    directed.fill('#seed', '5')
    directed.select_option('#loop', 'crossfade')
    directed.click('#start')
    see(directed, 'done')
    choose(directed, name = 'late.jpg')
    directed.get_by_role('button', name = 'Reset Amount of motion').click()
    directed.click('#start')
    see(directed, 'done')
    page = directed.context.new_page()
    page.goto(directed.url)
    expect(page.locator('.tile .name')).to_have_text(['late', 'early'])
    see(page, 'empty')
    tile(page, 'early').locator('.open').click()
    see(page, 'done')
    expect(page.locator('#made')).to_contain_text(re.compile('Seed 5 '))
    assert (page.input_value('#motion_bucket_id'), page.input_value('#loop')) == ('21', 'crossfade')
    page.click('#again')
    expect(page.locator('.tile .name')).to_have_text(['early', 'late', 'early'])
    expect(page.locator('#made')).not_to_contain_text(re.compile('Seed 5 '))
    again = Directed.asked[-1]
    assert (again.motion_bucket_id, again.loop, again.seed != 5) == (21, 'crossfade', True)
    assert page.evaluate('[photo.naturalWidth, photo.naturalHeight]') == [180, 320]


def test_a_clip_is_deleted_after_being_asked_in_place(directed, directed_port, held):
    held.set()
    start(directed, 'one.jpg')
    see(directed, 'done')
    [job] = remembered(directed)
    tile(directed, 'one').hover()
    directed.get_by_role('button', name = 'Delete one').click()
    tile(directed, 'one').get_by_role('button', name = 'Keep').click()
    expect(directed.get_by_role('button', name = 'Delete one')).to_be_focused()
    directed.get_by_role('button', name = 'Delete one').click()
    tile(directed, 'one').get_by_role('button', name = 'Delete', exact = True).click()
    see(directed, 'empty')
    expect(directed.locator('.tile')).to_have_count(0)
    expect(directed.locator('#status')).to_have_text('one was deleted.')
    assert (remembered(directed), program.call(directed_port, 'GET',
                                               f'/jobs/{job}').status) == ([], 404)


def test_clips_that_have_gone_on_the_server_leave_silently(directed, directed_port, held):
    held.set()
    start(directed, 'one.jpg', 'two.jpg')
    state_of(directed, 'one', 'done')
    state_of(directed, 'two', 'done')
    gone, kept = remembered(directed)
    program.call(directed_port, 'DELETE', f'/jobs/{gone}')
    directed.reload()
    directed.wait_for_function(
        'kept => Object.values(localStorage).map(JSON.parse)[0].every(({id}) => id === kept)',
        arg = kept)
    expect(directed.locator('.tile')).to_have_count(1)
    expect(directed.locator('#notice')).to_be_empty()


def test_at_most_fifty_are_remembered(directed, held):
    ids = [f'{number:032x}' for number in range(60)]
    directed.evaluate(
        '''async ids => {
            const {remember} = await import('./static/js/memory.js');
            for (const id of ids) remember({id, name: 'x', created: null, ratio: 1});
        }''', ids)
    kept = remembered(directed)
    assert (len(kept), kept[0]) == (50, ids[-1])


def test_a_clip_of_the_strip_moves_only_while_it_is_pointed_at(chromium, directed_port, held):
    held.set()
    with browser.opened(chromium, directed_port, reduced_motion = 'no-preference') as page:
        start(page, 'one.jpg')
        see(page, 'done')
        moving = tile(page, 'one').locator('.moving')
        expect(moving).to_be_hidden()
        tile(page, 'one').locator('.open').hover()
        expect(moving).to_be_visible()
        page.mouse.move(5, 5)
        expect(moving).to_be_hidden()
        tile(page, 'one').locator('.open').focus()
        expect(moving).to_be_visible()


def test_what_did_not_work_is_shown_so_and_can_be_tried_again_after_a_reload(directed, held):
    held.set()
    choose(directed, name = 'one.jpg')
    directed.fill('#seed', '503')
    directed.click('#start')
    see(directed, 'failed')
    directed.reload()
    see(directed, 'failed')
    expect(directed.locator('#notice')).to_contain_text('Not enough memory.')
    directed.click('#start')
    see(directed, 'done')
    expect(directed.locator('.tile .caption').last).to_have_text('Failed')


# ---- somebody looks elsewhere ----


def test_nobody_is_asked_about_notifications_unbidden(chromium, directed_port, held):
    with browser.opened(chromium, directed_port) as page:
        page.add_init_script(WRITE_DOWN % 'default')
        page.reload()
        start(page)
        working(page)
        expect(page.locator('#bell')).to_have_text('Notify me when it is done')
        assert page.evaluate('Notification.permission') == 'default'
        page.click('#bell')
        expect(page.locator('#bell')).to_be_hidden()
        page.evaluate(HIDE)
        held.set()
        see(page, 'done')
        expect(page).to_have_title('Done · turn-live-photos')
        assert page.evaluate('announced') == ['photo has come to life']


@pytest.mark.parametrize('language', ['en', 'zh'])
def test_the_buttons_below_a_tall_photo_at_work_stand_in_one_row(chromium, directed_port, held,
                                                                 language):
    with browser.opened(chromium, directed_port, language) as page:
        page.add_init_script(WRITE_DOWN % 'default')
        page.reload()
        choose(page, photo(size = (180, 320)))
        page.click('#start')
        see(page, 'working')
        boxes = [page.locator(name).bounding_box() for name in ('#cancel', '#bell', '#another')]
        assert len({box['y'] for box in boxes}) == 1
        held.set()
        see(page, 'done')


def test_whoever_looks_is_not_notified(chromium, directed_port, held):
    with browser.opened(chromium, directed_port) as page:
        page.add_init_script(WRITE_DOWN % 'granted')
        page.reload()
        start(page)
        working(page)
        expect(page.locator('#bell')).to_be_hidden()
        held.set()
        see(page, 'done')
        assert page.evaluate('announced') == []


# ---- hands, languages ----


def press_until(page, key, selector):
    for _ in range(40):
        if page.evaluate('one => document.activeElement.matches(one)', selector):
            return
        page.keyboard.press(key)
    raise AssertionError(f'{selector} cannot be reached')


def test_the_strip_is_used_by_keyboard_alone(directed, held):
    held.set()
    start(directed, 'one.jpg', 'two.jpg')
    state_of(directed, 'two', 'done')
    see(directed, 'done')
    press_until(directed, 'Tab', '.tile[data-state] ~ .tile .open')
    directed.keyboard.press('Enter')
    expect(directed.locator('.tile .open').nth(1)).to_have_attribute('aria-current', 'true')
    press_until(directed, 'Tab', '.tile ~ .tile .remove')
    directed.keyboard.press('Enter')
    expect(tile(directed, 'two').locator('.no')).to_be_focused()
    directed.keyboard.press('Escape')
    expect(tile(directed, 'two').locator('.remove')).to_be_focused()
    directed.keyboard.press('Enter')
    directed.keyboard.press('Shift+Tab')
    directed.keyboard.press('Enter')
    expect(tile(directed, 'two')).to_have_count(0)


def test_a_switch_of_the_language_in_mid_work_says_all_anew(directed, held):
    start(directed)
    working(directed)
    directed.click('#language')
    expect(directed.locator('#sentence')).to_contain_text('第 1 步，共 4 步')
    expect(directed.locator('#cancel')).to_have_text('取消')
    held.set()
    see(directed, 'done')
    expect(directed.locator('[data-format=gif] .size')).to_have_text('点击生成')


def test_what_a_server_says_of_a_failure_follows_the_language(directed, held):
    held.set()
    choose(directed)
    directed.fill('#seed', '503')
    directed.click('#start')
    see(directed, 'failed')
    directed.click('#language')
    expect(directed.locator('#notice')).to_contain_text('内存')


@pytest.mark.parametrize('size', [(1366, 768), (1920, 1080)])
def test_at_work_the_settings_in_use_stand_beside_it_and_the_strip_is_in_sight(
        chromium, directed_port, held, size):
    window = dict(zip(('width', 'height'), size, strict = True))
    with browser.opened(chromium, directed_port, viewport = window) as page:
        tall = photo(size = (180, 320))
        page.set_input_files('#file', [file(tall, 'one.jpg'), file(tall, 'two.jpg')])
        see(page, 'chosen')
        stage = page.locator('.stage').bounding_box()
        page.fill('#motion_bucket_id', '200')
        page.click('#start')
        working(page)
        expect(page.locator('#in-use dl')).to_contain_text('200')
        expect(page.locator('#in-use dl')).to_contain_text('Best quality')
        assert page.is_visible('#in-use p') and page.is_hidden('#settings')
        # as large as it was, and the pictures of the others below it
        assert page.locator('.stage').bounding_box() == stage
        frame = page.locator('.frame').first.bounding_box()
        assert frame['y'] + 0.6 * frame['height'] < size[1]
        page.click('#language')
        expect(page.locator('#in-use dl')).to_contain_text('画质优先')
        held.set()
        see(page, 'done')
        assert page.is_hidden('#in-use') and page.is_visible('#settings')
