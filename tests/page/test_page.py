#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The page, in a real browser against the real program.

Libraries: Pillow, pillow-heif, playwright, pytest.
"""

import io
import re

import browser
import program
import pytest
from browser import Directed, choose, download, drop, file, keep, paste, photo, see, shown_size
from PIL import Image

from modules import i18n
from modules.errors import EngineUnavailable
from modules.i18n import text
from modules.web import errors

expect = pytest.importorskip('playwright.sync_api').expect

SMALL = (
    '[ModelOptions]\nEngine = camera\nImagePromptWidth = 256\nImagePromptHeight = 128\n'
    'Seconds = 1\nOutputFPS = 6\n[WebOptions]\nMaxContentLength = 1000000\nMaxPixels = 2000000\n')


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    """The whole program, with camera motion."""
    with program.started(tmp_path_factory.mktemp('page'), SMALL) as (_process, port):
        program.ready(port)
        yield port


@pytest.fixture
def directed(chromium, directed_port):
    browser.release(directed_port)
    with browser.opened(chromium, directed_port, refusals = True) as page:
        yield page
    Directed.go.set()


def words(page, selector):
    return page.inner_text(selector).strip()


@pytest.mark.parametrize('size', [(320, 640), (390, 844), (820, 1180), (1366, 768), (1920, 1080)])
def test_what_this_is_and_how_to_begin_are_seen_at_once(chromium, port, size):
    viewport = {'width': size[0], 'height': size[1]}
    with browser.opened(chromium, port, viewport = viewport) as page:
        see(page, 'empty')
        for name in ('.loop', '#headline', '#choose'):
            box = page.locator(name).bounding_box()
            assert box['y'] >= 0 and box['y'] + box['height'] <= size[1], name
            assert box['x'] >= 0 and box['x'] + box['width'] <= size[0], name


def test_a_photo_is_chosen_brought_to_life_and_downloaded(page):
    choose(page, name = '奶奶 1968.jpeg')
    page.click('#start')
    see(page, 'done')
    assert page.evaluate('clip.videoWidth > 0 && clip.checkVisibility()')
    name, picture = download(page)
    assert (name, picture.format, picture.n_frames > 1) == ('奶奶 1968.gif', 'GIF', True)
    assert page.title() == 'Done · turn-live-photos'


def test_the_download_tells_its_size(page):
    choose(page)
    page.click('#start')
    see(page, 'done')
    _name, content = keep(page, 'mp4')
    assert words(page, '[data-format=mp4] a') == f'MP4\n{-(-len(content) // 1000)} kB'


@pytest.mark.parametrize('module', ['picker', 'rest'])
def test_a_photo_that_is_chosen_before_the_scripts_are_here_is_taken(page, module):
    waiting = []
    page.route(f'**/js/{module}.js', lambda route: waiting.append(route))
    page.reload(wait_until = 'commit')
    see(page, 'empty')
    page.set_input_files('#file', file(photo(size = (120, 200))))
    browser.caught(page, waiting).continue_()
    see(page, 'chosen')
    assert shown_size(page) == [120, 200]


def test_a_photo_can_be_dropped_anywhere(page):
    drop(page, ('dropped.png', photo('PNG', (120, 200))))
    see(page, 'chosen')
    assert shown_size(page) == [120, 200]
    assert not page.locator('#studio[data-dragging]').count()


def test_a_photo_can_be_pasted(page):
    paste(page, ('image.png', photo('PNG', (120, 200))))
    see(page, 'chosen')
    assert shown_size(page) == [120, 200]


def test_a_photo_that_chromium_cannot_decode_is_shown_by_the_server(page, tmp_path):
    heif = pytest.importorskip('pillow_heif')
    path = tmp_path / 'IMG_0001.HEIC'
    heif.from_pillow(Image.new('RGB', (320, 200), (20, 120, 200))).save(path)
    choose(page, path.read_bytes(), path.name)
    assert shown_size(page) == [320, 200]
    page.click('#start')
    see(page, 'done')
    assert download(page)[0] == 'IMG_0001.gif'


@pytest.mark.parametrize('kind', ['JPEG', 'TIFF'])
def test_a_photo_that_was_taken_sideways_stands_upright(page, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    choose(page, photo(kind, (320, 180), exif = exif))
    assert shown_size(page) == [180, 320]
    box = page.locator('.stage').bounding_box()
    assert box['width'] / box['height'] == pytest.approx(180 / 320, rel = 0.02)


def test_every_setting_the_engine_understands_is_sent(directed):
    choose(directed)
    directed.fill('#motion_bucket_id', '200')
    directed.fill('#noise_aug_strength', '0.3')
    directed.fill('#max_guidance_scale', '4.5')
    directed.fill('#seed', '77')
    directed.click('#start')
    see(directed, 'done')
    asked = Directed.asked[-1]
    assert (asked.motion_bucket_id, asked.noise_aug_strength) == (200, 0.3)
    assert (asked.max_guidance_scale, asked.seed) == (4.5, 77)
    assert words(directed, '#made') == 'Seed 77 · Stable Video Diffusion'


def test_only_what_the_engine_understands_is_offered(page):
    names = page.eval_on_selector_all('#settings input', 'all => all.map(one => one.name)')
    assert list(dict.fromkeys(names)) == [
        'flow', 'move', 'motion_bucket_id', 'seconds', 'focus', 'blur', 'seed'
    ]


def test_a_slider_tells_its_value_to_keyboard_and_touch(directed):
    choose(directed)
    noise = directed.locator('#noise_aug_strength')
    noise.press('Home')
    assert words(directed, '[data-setting=noise_aug_strength] output') == '0'
    noise.press('ArrowRight')
    assert words(directed, '[data-setting=noise_aug_strength] output') == '0.01'


def test_a_setting_is_reset_by_a_button_that_comes_when_it_is_needed(directed):
    choose(directed)
    assert directed.locator('.reset:visible').count() == 0
    directed.fill('#motion_bucket_id', '9')
    directed.get_by_role('button', name = 'Reset Amount of motion').click()
    assert directed.input_value('#motion_bucket_id') == '127'
    assert directed.is_hidden('#motion_bucket_id-reset')


def test_the_die_throws_a_seed_that_can_be_sent(directed):
    choose(directed)
    directed.click('#die')
    thrown = int(directed.input_value('#seed'))
    directed.click('#start')
    see(directed, 'done')
    assert Directed.asked[-1].seed == thrown


def test_again_draws_another_seed_and_keeps_the_other_settings(directed):
    choose(directed)
    directed.fill('#motion_bucket_id', '30')
    directed.fill('#seed', '1')
    directed.click('#start')
    see(directed, 'done')
    with directed.expect_response('**/jobs') as answer:
        directed.click('#again')
    directed.locator('#made', has_text = f'Seed {answer.value.json()["seed"]} ').wait_for()
    first, second = Directed.asked
    assert (second.motion_bucket_id, second.seed != first.seed) == (30, True)


def test_a_kept_seed_is_used_with_changed_settings(directed):
    choose(directed)
    directed.click('#start')
    see(directed, 'done')
    assert directed.is_hidden('#redo')
    directed.click('#keep-seed')
    directed.fill('#motion_bucket_id', '30')
    directed.click('#redo')
    directed.wait_for_selector('#redo', state = 'hidden')
    see(directed, 'done')
    first, second = Directed.asked
    assert (second.seed, second.motion_bucket_id) == (first.seed, 30)


def test_another_photo_needs_no_reload(page):
    choose(page, name = 'one.jpg')
    page.click('#start')
    see(page, 'done')
    page.evaluate('window.same = true')
    with page.expect_file_chooser() as chooser:
        page.click('#another')
    chooser.value.set_files(file(photo(size = (180, 320)), 'two.jpg'))
    see(page, 'chosen')
    assert shown_size(page) == [180, 320]
    page.click('#start')
    see(page, 'done')
    assert (download(page)[0], page.evaluate('window.same')) == ('two.gif', True)


def test_the_still_is_seen_for_as_long_as_the_badge_is_held(page):
    choose(page)
    page.click('#start')
    see(page, 'done')
    page.hover('#live')
    page.mouse.down()
    assert not page.is_visible('#clip')
    page.wait_for_timeout(350)
    page.mouse.up()
    assert page.is_visible('#clip')


def test_a_tap_on_the_badge_stops_the_clip_until_the_next(chromium, port):
    with browser.opened(chromium, port, reduced_motion = 'no-preference') as page:
        choose(page)
        page.click('#start')
        see(page, 'done')
        page.wait_for_function('() => !clip.paused && clip.currentTime > 0')
        assert words(page, '#live') == 'LIVE'
        page.click('#live')
        assert (page.is_visible('#clip'), words(page, '#live')) == (False, 'Play')
        assert page.evaluate('clip.paused')
        page.click('#live')
        page.wait_for_function('() => !clip.paused')
        assert (page.is_visible('#clip'), words(page, '#live')) == (True, 'LIVE')


def test_nothing_plays_by_itself_for_people_who_want_less_motion(page):
    choose(page)
    page.click('#start')
    see(page, 'done')
    assert page.evaluate('[clip.paused, clip.checkVisibility()]') == [True, True]
    page.hover('.tile .open')
    assert page.is_hidden('.tile .moving')
    page.get_by_role('button', name = 'Play the clip').click()
    page.wait_for_function('() => !clip.paused && clip.currentTime > 0')
    assert words(page, '#live') == 'LIVE'


def test_how_to_compare_is_said_once(page):
    choose(page)
    page.click('#start')
    see(page, 'done')
    assert words(page, '.hint') == 'Press and hold to compare'
    page.click('#live')
    page.wait_for_selector('.hint', state = 'hidden')
    page.reload()
    see(page, 'done')
    page.wait_for_selector('#live')
    assert page.is_hidden('.hint')


def test_the_clip_comes_as_a_video_alone_in_parts(page):
    asked, answers = [], []
    page.on('request', lambda request: asked.append(request.url.rpartition('/')[2]))
    page.on('response', lambda answer: answers.append(answer) if 'result' in answer.url else None)
    choose(page)
    page.click('#start')
    see(page, 'done')
    assert [one for one in asked if one.startswith('result')] == ['result?format=mp4']
    assert (answers[0].status, answers[0].headers['content-type']) == (206, 'video/mp4')
    job = page.evaluate('clip.dataset.job')
    made = program.call(port_of(page), 'GET', f'/jobs/{job}').json['results']
    assert {one['format'] for one in made if one['bytes']} == {'mp4'}


def port_of(page):
    return int(page.url.rstrip('/').rpartition(':')[2])


def test_a_clip_on_its_way_says_so(directed):
    waiting = []
    directed.route('**/result?format=mp4', lambda route: waiting.append(route))
    choose(directed)
    directed.click('#start')
    directed.locator('#sentence', has_text = 'Loading your clip').wait_for()
    assert directed.title() == 'Loading your clip…'
    assert directed.get_attribute('#progress', 'aria-valuenow') == '100'
    browser.caught(directed, waiting).continue_()
    see(directed, 'done')
    directed.reload()
    see(directed, 'done')
    assert (words(directed,
                  '.loading'), directed.is_hidden('#live')) == ('Loading your clip…', True)
    browser.caught(directed, waiting).continue_()
    directed.wait_for_selector('#live')
    assert directed.is_hidden('.loading')


def test_a_browser_that_cannot_play_the_video_shows_a_picture(directed):
    directed.route(
        '**/result?format=mp4',
        lambda route: route.fulfill(status = 200, content_type = 'video/mp4', body = 'no video'))
    choose(directed)
    directed.click('#start')
    see(directed, 'done')
    assert directed.evaluate('[clip.tagName, clip.naturalWidth > 0]') == ['IMG', True]
    # it cannot be stopped, so the still is shown until it is asked for
    assert (directed.is_visible('#clip'), words(directed, '#live')) == (False, 'Play')
    directed.click('#live')
    assert directed.is_visible('#clip')


def test_nothing_of_the_still_is_seen_beside_the_clip(page):
    choose(page, photo(size = (333, 200)))
    page.click('#start')
    see(page, 'done')
    page.wait_for_selector('#live')
    assert page.evaluate('clip.classList.contains("covers")')


def test_while_at_work_sentence_title_and_bar_tell_how_far_it_is(directed):
    Directed.go.clear()
    choose(directed)
    directed.click('#start')
    directed.locator('#sentence', has_text = 'Step 1 of 4').wait_for()
    assert directed.evaluate('document.title === sentence.textContent')
    assert directed.get_attribute('#progress', 'aria-valuenow') == '21'
    assert directed.is_visible('#photo')
    assert directed.is_disabled('#motion_bucket_id')


def test_cancel_stops_the_work_and_keeps_photo_and_settings(directed, directed_port):
    Directed.go.clear()
    choose(directed)
    directed.fill('#motion_bucket_id', '30')
    directed.click('#start')
    see(directed, 'working')
    directed.click('#cancel')
    see(directed, 'chosen')
    assert directed.input_value('#motion_bucket_id') == '30'
    assert directed.evaluate('document.activeElement.id') == 'start'
    program.ready(directed_port)


def test_cancel_and_failure_leave_the_clip_that_was_there(directed):
    choose(directed, name = 'kept.jpg')
    directed.click('#start')
    see(directed, 'done')
    Directed.go.clear()
    directed.click('#again')
    see(directed, 'working')
    directed.click('#cancel')
    see(directed, 'done')
    assert directed.is_visible('#clip')
    directed.fill('#seed', '503')
    directed.click('#redo')
    see(directed, 'failed')
    assert download(directed)[0] == 'kept.gif'


def test_a_cancelled_change_can_be_asked_for_again(directed):
    choose(directed)
    directed.click('#start')
    see(directed, 'done')
    directed.fill('#motion_bucket_id', '30')
    Directed.go.clear()
    directed.click('#redo')
    see(directed, 'working')
    directed.click('#cancel')
    see(directed, 'done')
    assert directed.is_visible('#redo')


def test_a_refused_slider_is_told_although_it_has_no_place_of_its_own_for_words(chromium, port):
    refusal = {'message': 'Not so lively.', 'code': 'out_of_range', 'field': 'motion_bucket_id'}
    with browser.opened(chromium, port, refusals = True) as page:
        page.route('**/jobs', lambda route: route.fulfill(status = 400, json = refusal))
        choose(page)
        page.click('#start')
        see(page, 'failed')
        assert words(page, '#notice p').startswith('Not so lively.')


def test_what_is_no_picture_is_refused_in_the_words_of_the_server(chromium, port):
    with browser.opened(chromium, port, refusals = True) as page:
        page.set_input_files('#file', file(b'Dear Sir', 'letter.jpg'))
        page.wait_for_selector('.notice[data-kind=wrong]')
        assert words(page, '#notice p').startswith('This file cannot be opened as a photo.')
        assert page.get_attribute('#studio', 'data-state') == 'empty'
        choose(page)
        assert words(page, '#notice') == ''


def test_a_refused_file_leaves_the_photo_that_was_there(chromium, port):
    with browser.opened(chromium, port, refusals = True) as page:
        choose(page, photo(size = (180, 320)))
        drop(page, ('letter.txt', b'Dear Sir'))
        page.wait_for_selector('.notice[data-kind=wrong]')
        assert (page.get_attribute('#studio',
                                   'data-state'), shown_size(page)) == ('chosen', [180, 320])


def test_a_file_that_is_too_large_is_not_even_sent(page):
    asked = []
    page.on('request', lambda request: asked.append(request.url))
    page.set_input_files('#file', file(bytes(1_200_000), 'huge.jpg'))
    page.wait_for_selector('.notice[data-kind=wrong]')
    assert words(page, '#notice p').startswith('This photo is 1.2 MB; at most 1 MB can be used.')
    assert not any(address.endswith(('/upright', '/jobs')) for address in asked)


def test_too_many_pixels_lead_to_another_photo(chromium, port):
    with browser.opened(chromium, port, refusals = True) as page:
        choose(page, photo(size = (2000, 1500)))
        page.click('#start')
        see(page, 'failed')
        assert words(page, '#notice p').startswith('The photo has 3.0 megapixels; the limit is 2')
        assert (words(page,
                      '#start'), page.is_visible('#another')) == ('Choose another photo', False)
        with page.expect_file_chooser() as chooser:
            page.click('#start')
        chooser.value.set_files(file(photo()))
        see(page, 'chosen')
        page.click('#start')
        see(page, 'done')


def test_trying_again_waits_as_long_as_the_server_asks(directed):
    refusal = {'message': 'No room on the disk.', 'code': 'disk_full', 'field': None}
    answer = {'status': 503, 'json': refusal, 'headers': {'Retry-After': '60'}}
    directed.clock.install()
    directed.route('**/jobs', lambda route: route.fulfill(**answer))
    choose(directed)
    directed.click('#start')
    see(directed, 'failed')
    assert words(directed, '#notice p') == 'No room on the disk.'
    assert words(directed, '#start') == 'Try again in 60 s'
    directed.click('#start', force = True)
    assert directed.get_attribute('#studio', 'data-state') == 'failed'
    directed.clock.fast_forward(61000)
    directed.get_by_role('button', name = 'Try again', exact = True).wait_for()
    directed.unroute('**/jobs')
    directed.click('#start')
    see(directed, 'done')


def test_a_clip_that_did_not_work_can_be_asked_for_again(directed):
    choose(directed)
    directed.fill('#seed', '503')
    directed.click('#start')
    see(directed, 'failed')
    assert words(directed, '#notice p').startswith('Not enough memory.')
    assert words(directed, '#start') == 'Try again'
    directed.fill('#seed', '1')
    directed.click('#start')
    see(directed, 'done')


def test_a_seed_that_cannot_be_is_told_at_its_field(directed):
    choose(directed)
    directed.fill('#seed', '4294967296')
    directed.click('#start')
    assert words(directed, '#seed-error').startswith('Enter a whole number from 0 to 4294967295')
    assert directed.evaluate('document.activeElement.id') == 'seed'
    assert directed.get_attribute('#seed', 'aria-invalid') == 'true'
    directed.fill('#seed', '4294967295')
    assert words(directed, '#seed-error') == ''


def test_an_error_names_the_file_and_follows_the_language(chromium, port):
    with browser.opened(chromium, port, refusals = True) as page:
        page.set_input_files('#file', file(b'Dear Sir', 'letter.jpg'))
        page.wait_for_selector('.notice[data-kind=wrong]')
        assert words(page, '#notice strong') == 'letter.jpg'
        page.click('#language')
        page.locator(
            '#notice', has_text = i18n.words('zh')['errors']['unreadable_image']).wait_for()
        choose(page, photo(size = (2000, 1500)), 'large.jpg')
        page.click('#start')
        see(page, 'failed')
        assert '3.0' in words(page, '#notice p')
        page.click('#language')
        page.locator(
            '#notice', has_text = 'The photo has 3.0 megapixels; the limit is 2').wait_for()
        assert (words(page,
                      '#notice strong'), words(page,
                                               '#start')) == ('large.jpg', 'Choose another photo')


def test_a_reason_within_an_error_follows_the_language_too(chromium, port):
    lack = text('engines.no_weights', model = 'someone/some-model')
    refusal = EngineUnavailable('engine', engine = 'svd', reason = lack)
    with browser.opened(chromium, port, refusals = True) as page:
        page.route(
            '**/jobs', lambda route: route.fulfill(
                status = 503, json = {
                    **refusal.to_json('en'), 'request_id': ''
                }))
        choose(page)
        page.click('#start')
        for language in ('en', 'zh', 'en'):
            page.locator('#notice p', has_text = refusal.text.in_(language)).wait_for()
            page.click('#language')


def test_an_error_does_not_move_the_button(directed):
    choose(directed)
    before = directed.locator('#start').bounding_box()
    directed.fill('#seed', '503')
    directed.click('#start')
    see(directed, 'failed')
    after = directed.locator('#start').bounding_box()
    assert (after['y'], after['height']) == (before['y'], before['height'])


def test_sending_tells_percent_and_bytes_and_can_be_called_off(directed):
    line = directed.context.new_cdp_session(directed)
    choose(directed, noise((400, 300)), 'noise.png')
    line.send('Network.emulateNetworkConditions', {
        'offline': False,
        'latency': 0,
        'downloadThroughput': -1,
        'uploadThroughput': 60000
    })
    directed.click('#start')
    hint = directed.locator(
        '#sentence', has_text = re.compile(r'^Sending the photo, \d+% \(\d+ kB of \d+ kB\)$'))
    hint.wait_for()
    percent = int(re.search(r'(\d+)%', words(directed, '#sentence'))[1])
    assert 0 < percent < 100
    assert directed.get_attribute('#progress', 'aria-valuenow') == str(percent)
    directed.click('#cancel')
    see(directed, 'chosen')
    line.send('Network.emulateNetworkConditions', {
        'offline': False,
        'latency': 0,
        'downloadThroughput': -1,
        'uploadThroughput': -1
    })
    directed.click('#start')
    see(directed, 'done')


def noise(size):
    """A PNG that is as large as its pixels."""
    content = io.BytesIO()
    Image.effect_noise(size, 90).save(content, 'PNG')
    return content.getvalue()


def test_a_program_that_has_gone_is_told_and_tried_again(chromium, directed_port):
    with browser.opened(chromium, directed_port, refusals = True) as page:
        Directed.go.set()
        choose(page)
        page.route('**/jobs', lambda route: route.abort('connectionrefused'))
        page.click('#start')
        see(page, 'failed')
        assert words(page, '#notice p').startswith('The program cannot be reached.')
        page.unroute('**/jobs')
        page.click('#start')
        see(page, 'done')


def test_an_answer_that_is_no_json_is_told_too(directed):
    choose(directed)
    directed.route('**/jobs', lambda route: route.fulfill(status = 502, body = '<h1>Bad</h1>'))
    directed.click('#start')
    see(directed, 'failed')
    assert words(directed, '#notice p').startswith('Something unexpected came back (502).')


def test_the_chip_says_that_no_model_is_loaded_why_and_how_to_get_it(page):
    assert words(page, '.chip').endswith('Camera motion')
    page.click('.chip')
    page.click('#owner > summary')
    said = words(page, '.card')
    assert said.startswith('No AI model is loaded')
    assert re.search('\nStable Video Diffusion\n+.+\n+Run ./START download', said), said
    page.keyboard.press('Escape')
    assert page.is_hidden('.card')


def test_the_chip_names_the_model_at_work(directed):
    assert words(directed, '.chip').endswith('Stable Video Diffusion')


def test_the_language_is_the_browsers_until_it_is_switched(chromium, port):
    with browser.opened(chromium, port, 'zh') as page:
        assert (words(page, 'h1'), page.get_attribute('html',
                                                      'lang')) == ('让老照片\u200b重新鲜活起来', 'zh-Hans')
        page.click('#language')
        page.wait_for_selector('html[lang=en]')
        assert words(page, 'h1') == 'Bring old photos back to life'
        page.reload()
        assert words(page, 'h1') == 'Bring old photos back to life'


def test_a_switch_of_the_language_keeps_the_photo_and_says_everything_anew(chromium, port):
    with browser.opened(chromium, port) as page:
        choose(page)
        page.click('#start')
        see(page, 'done')
        for language in ('zh', 'en', 'zh'):
            page.click('#language')
            page.wait_for_selector(f'html[lang^={language}]')
        reason = program.call(port, 'GET', '/health?lang=zh').json['engines']['svd']
        page.locator('.card', has_text = reason).wait_for(state = 'attached')
        assert words(page, '[data-format=live-photo] .name') == '实况照片'
        assert words(page, '#language') == 'English'
        assert page.title() == '好了 · turn-live-photos'
        assert page.get_attribute('#clip', 'aria-label') == '动起来的照片：photo'
        assert page.get_attribute('#live', 'aria-label') == '播放作品'
        # what comes later too
        choose(page, name = 'later.jpg')
        later = page.locator('.tile', has_text = 'later')
        assert later.locator('.yes').text_content() == '删除'


def test_without_javascript_the_form_brings_the_gif(chromium, port):
    with browser.opened(chromium, port, java_script_enabled = False) as page:
        page.set_input_files('#file', file(photo()))
        with page.expect_response('**/generate') as answer:
            page.get_by_role('button', name = 'Bring it to life').click()
        page.wait_for_url('**/generate')
        assert (answer.value.status, answer.value.headers['content-type']) == (200, 'image/gif')


def test_without_javascript_a_refusal_is_a_page_that_leads_back(chromium, port):
    with browser.opened(chromium, port, refusals = True, java_script_enabled = False) as page:
        page.set_input_files('#file', file(b'Dear Sir', 'letter.jpg'))
        page.get_by_role('button', name = 'Bring it to life').click()
        page.get_by_role('heading', name = 'That did not work').wait_for()
        assert 'This file cannot be opened as a photo' in words(page, 'main')
        page.get_by_role('link', name = 'Back to the page').click()
        page.wait_for_selector('#studio')


def test_a_limit_is_told_as_its_owner_means_it(directed):
    assert 'up to 32 MB' in words(directed, '#accepted')
    said = directed.evaluate('''async () => {
        const {limitOf} = await import(document.querySelector('[href*="js/sizes"]').href);
        return [33554432, 1000000, 1500000].map(limitOf);
    }''')
    assert said == ['32', '1', '1.5'] == [errors.megabytes(n) for n in (33554432, 1000000, 1500000)]


def test_without_javascript_the_language_is_switched_by_a_link(chromium, port):

    def see_button(words):
        # a click does not wait for the page that it leads to
        page.get_by_role('button', name = words, exact = True).wait_for()

    with browser.opened(chromium, port, java_script_enabled = False) as page:
        page.click('#language')
        see_button('让照片动起来')
        page.goto(f'http://127.0.0.1:{port}/')
        see_button('让照片动起来')
        page.click('#language')
        see_button('Bring it to life')


def test_a_keyboard_alone_is_enough(page):
    for _ in range(10):
        if page.evaluate('document.activeElement.id') == 'file':
            break
        page.keyboard.press('Tab')
    with page.expect_file_chooser() as chooser:
        page.keyboard.press('Enter')
    chooser.value.set_files(file(photo()))
    see(page, 'chosen')
    page.keyboard.press('Enter')
    see(page, 'done')
    assert page.evaluate('document.activeElement.textContent').startswith('Download MP4')
    page.keyboard.press('Shift+Tab')
    page.keyboard.down(' ')
    assert not page.is_visible('#clip')
    page.wait_for_timeout(350)
    page.keyboard.up(' ')
    assert page.is_visible('#clip')
    page.keyboard.press('Tab')
    with page.expect_download():
        page.keyboard.press('Enter')


def test_on_a_phone_the_button_is_within_reach_without_scrolling(chromium, directed_port):
    with browser.opened(chromium, directed_port, viewport = {'width': 390, 'height': 844}) as page:
        choose(page, photo(size = (900, 1600)))
        box = page.locator('#start').bounding_box()
        assert 844 * 0.75 < box['y'] < box['y'] + box['height'] <= 844


@pytest.mark.parametrize('height', [560, 768])
def test_beside_long_settings_photo_and_button_stay_in_sight(directed, height):
    directed.set_viewport_size({'width': 1280, 'height': height})
    choose(directed)
    directed.locator('#seed').focus()
    directed.locator('#seed').fill('7')
    for what in ('#seed', '#photo', '#start'):
        expect(directed.locator(what)).to_be_in_viewport(ratio = 1)
    directed.click('#start')
    see(directed, 'done')
    for what in ('#main-action', '#clip', '#again'):
        expect(directed.locator(what)).to_be_in_viewport(ratio = 1)


def test_over_a_clip_a_tap_moves_no_focus_and_picking_one_shows_the_photo(page):
    choose(page)
    page.click('#start')
    see(page, 'done')
    expect(page.locator('#clip')).to_be_visible()
    page.locator('#clip').click()
    assert page.input_value('[name=focus]') == '' and page.is_visible('#again')
    page.click('#focus-choose')
    expect(page.locator('#focus-mark')).to_be_focused()
    assert page.is_visible('#photo') and page.is_hidden('#clip')
    # one button for what has been changed
    assert (page.is_visible('#redo'), page.is_visible('#again')) == (True, False)
    box = page.locator('#photo').bounding_box()
    page.mouse.click(box['x'] + box['width'] / 4, box['y'] + box['height'] / 2)
    assert page.input_value('[name=focus]').startswith('0.25,')


def test_on_a_phone_several_photos_are_in_sight_before_they_are_sent(chromium, directed_port):
    with browser.opened(chromium, directed_port, viewport = {'width': 390, 'height': 844}) as page:
        page.set_input_files('#file', [file(photo(), f'{number}.jpg') for number in range(3)])
        see(page, 'chosen')
        for what in ('.tile >> nth=0', '#start'):
            expect(page.locator(what)).to_be_in_viewport(ratio = 1)
