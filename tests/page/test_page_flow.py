#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What flows, drawn on the page: by mouse, finger and keys, with the picture moving under it or without.

Libraries: axe-playwright-python, numpy, OpenCV, Pillow, playwright, pytest.
"""

import base64
import io
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy
import program
import pytest
from browser import DATA_TRANSFER, choose, drop, encoded, file, opened, paste, photo, see
from PIL import Image
from playwright.sync_api import expect

from modules.configuration import Configuration, ModelOptions
from modules.engines.camera.engine import CameraMotion
from modules.errors import BadDrawing
from modules.photos.sizes import Photo
from modules.progress import JobControl
from modules.request import parse_request

SMALL = ('[ModelOptions]\nEngine = camera\nImagePromptWidth = 128\nImagePromptHeight = 64\n'
         'Seconds = 1\nOutputFPS = 6\n')

#: across the picture and back, with something that stays between
DRAWN = json.dumps({
    'strokes': [{
        'points': [[0.1, 0.2], [0.4, 0.3], [0.8, 0.15]],
        'width': 0.2,
        'speed': 1
    }, {
        'points': [[0.8, 0.7], [0.5, 0.85], [0.2, 0.75]],
        'width': 0.12,
        'speed': 1.5
    }, {
        'points': [[0.05, 0.5], [0.9, 0.55]],
        'width': 0.03,
        'speed': 0.7
    }],
    'pins': [{
        'points': [[0.5, 0.25]],
        'width': 0.08
    }]
})

#: the photo as the page shows it at some parts of the loop: the picture that moves over it
FRAMES = '''async ([content, field, parts]) => {
    const {Player} = await import('./static/js/flow/player.js');
    const {parse} = await import('./static/js/flow/marks.js');
    const photo = new Image();
    photo.src = `data:image/png;base64,${content}`;
    await photo.decode();
    const player = new Player(document.createElement('canvas'));
    await player.open(photo);
    player.show(parse(field));
    player.find();
    return parts.map((part) => {
        player.shader.render(part);
        const seen = document.createElement('canvas');
        [seen.width, seen.height] = [player.canvas.width, player.canvas.height];
        for (const layer of [photo, player.canvas]) {
            seen.getContext('2d').drawImage(layer, 0, 0, seen.width, seen.height);
        }
        return seen.toDataURL('image/png').split(',')[1];
    });
}'''

#: a browser without WebGL 2
NO_WEBGL = '''HTMLCanvasElement.prototype.getContext = new Proxy(HTMLCanvasElement.prototype.getContext, {
    apply: (own, canvas, [kind, ...others]) => kind === 'webgl2' ? null : Reflect.apply(own, canvas, [kind, ...others]),
})'''

#: what is too small for a finger on the board, or stands out of it
CRAMPED = '''() => [...document.querySelectorAll('#flow-board :is(button, input, label.pill)')]
    .filter((one) => one.checkVisibility() && !one.closest('label.pill input'))
    .filter((one) => one.type !== 'radio')
    .map((one) => [one, one.getBoundingClientRect()])
    .filter(([one, box]) => box.width < 44 || box.height < 44 || box.left < 0 || box.right > innerWidth
        || one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0)
    .map(([one, box]) => [one.outerHTML, box.width, box.height])'''

FINDINGS = '''axe.run({resultTypes: ['violations']}).then(
    ({violations}) => violations.map(({id, nodes}) => [id, nodes[0].html]))'''


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    with program.started(tmp_path_factory.mktemp('flow'), SMALL) as (_process, port):
        program.ready(port)
        yield port


def _open(page, content = None):
    choose(page, content or photo(size = (400, 200)))
    page.click('#flow-draw')
    page.wait_for_selector('#flow-board[open]')


def _place(page, x, y):
    """A point of the photo on the screen."""
    box = page.locator('.sheet').bounding_box()
    return box['x'] + x * box['width'], box['y'] + y * box['height']


def _draw(page, *points):
    """Draw a line by the mouse; a single point is a press."""
    places = [_place(page, *point) for point in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps = 4)
    page.mouse.up()


def _brush(page, kind):
    page.locator(f'label.pill:has([value={kind}])').click()


def _field(page):
    """What is drawn, as the form's field says; None where nothing is."""
    return json.loads(page.input_value('#flow') or 'null')


def _near(points):
    return [pytest.approx(point, abs = 0.01) for point in points]


def test_lines_by_the_mouse_become_the_field_and_are_undone(page):
    _open(page)
    _draw(page, (0.2, 0.5), (0.8, 0.5))
    page.fill('#flow-width', '20')
    page.fill('#flow-speed', '2')
    _draw(page, (0.5, 0.2), (0.5, 0.8))
    _brush(page, 'stays')
    _draw(page, (0.1, 0.1))
    drawn = _field(page)
    first, second = drawn['strokes']
    assert first['points'] == _near([(0.2, 0.5), (0.8, 0.5)])
    assert (first['width'], first['speed']) == (0.1, 1)
    assert second['points'] == _near([(0.5, 0.2), (0.5, 0.8)])
    assert (second['width'], second['speed']) == (0.2, 2)
    assert drawn['pins'] == [{'points': _near([(0.1, 0.1)]), 'width': 0.2}]
    assert page.inner_text('[data-setting=flow] output') == '2 flowing, 1 staying'
    page.click('#flow-undo')
    assert _field(page) == {'strokes': [first, second], 'pins': []}
    assert page.inner_text('#flow-status') == 'Undone. Strokes now: 2'
    page.click('#flow-clear')
    assert _field(page) is None
    assert page.inner_text('#flow-status').startswith('All strokes removed.')
    page.keyboard.press('Control+z')
    assert len(_field(page)['strokes']) == 2
    page.click('#flow-done')
    assert page.is_hidden('#flow-board')
    page.click('#flow-reset')
    assert _field(page) is None and page.is_hidden('#flow-reset')


def test_a_mark_that_is_pressed_is_changed_and_taken_away(page):
    _open(page)
    _draw(page, (0.2, 0.3), (0.8, 0.3))
    _draw(page, (0.2, 0.7), (0.8, 0.7))
    _draw(page, (0.5, 0.3))
    assert page.locator('#flow-marks [data-chosen]').count() == 1
    page.fill('#flow-width', '5')
    page.fill('#flow-width', '7')
    assert [one['width'] for one in _field(page)['strokes']] == [0.07, 0.1]
    page.click('#flow-undo')
    assert [one['width'] for one in _field(page)['strokes']] == [0.1, 0.1]
    page.get_by_role('button', name = 'Remove Flow 2').click()
    assert [one['points'][0] for one in _field(page)['strokes']] == _near([(0.2, 0.3)])


def test_everything_is_done_by_keys(page):
    choose(page, photo(size = (400, 200)))
    page.focus('#flow-draw')
    page.keyboard.press('Enter')
    page.wait_for_selector('#flow-board[open]')
    page.focus('#flow-add')
    page.keyboard.press('Enter')
    assert _field(page)['strokes'][0]['points'] == _near([(0.4, 0.5), (0.6, 0.5)])
    page.keyboard.press('ArrowDown')
    page.keyboard.press('ArrowRight')
    assert _field(page)['strokes'][0]['points'] == _near([(0.42, 0.52), (0.62, 0.52)])
    page.keyboard.press('Tab')
    page.keyboard.press('Tab')
    page.keyboard.press('Enter')
    assert _field(page)['strokes'][0]['points'] == _near([(0.62, 0.52), (0.42, 0.52)])
    assert page.inner_text('#flow-status') == 'Flow 1, to the left'
    page.keyboard.press('Tab')
    page.keyboard.press('Enter')
    assert page.inner_text('#flow-status') == 'Flow 1, up to the left'
    page.keyboard.press('Delete')
    assert _field(page) is None
    page.keyboard.press('ArrowRight')
    page.focus('#flow-add')
    page.keyboard.press('Enter')
    assert _field(page) == {'strokes': [], 'pins': [{'points': [[0.5, 0.5]], 'width': 0.1}]}
    page.keyboard.press('Escape')
    page.wait_for_function("() => document.activeElement.id === 'flow-draw'")


def test_all_of_it_flows_one_way_and_another_way_takes_its_place(page):
    _open(page)
    _brush(page, 'stays')
    _draw(page, (0.3, 0.3))
    for name, way in (('to the right', (1, 0)), ('up to the left', (-1, -1))):
        page.get_by_role('button', name = name, exact = True).click()
        drawn = _field(page)
        assert len(drawn['pins']) == 1
        for stroke in drawn['strokes']:
            (x, y), (to_x, to_y) = stroke['points']
            assert ((to_x > x) - (to_x < x), (to_y > y) - (to_y < y)) == way
            assert stroke['width'] == 0.5
    assert page.inner_text('#flow-status') == 'Everything flows up to the left.'


def test_there_is_an_end_to_what_can_be_drawn(page):
    _open(page)
    page.evaluate(
        """() => { for (let i = 0; i < 70; i += 1) document.getElementById('flow-add').click(); }"""
    )
    assert len(_field(page)['strokes']) == 64
    assert page.inner_text('#flow-status').startswith('That is as much as can be drawn')


def _outdoors(size = (400, 200)):
    """Clouds above a dark ground from which a tower rises: the photo, and where there is no sky."""
    width, height = size
    random = numpy.random.default_rng(1)
    layers = [
        cv2.resize(
            random.random((2**k + 1, 2**(k + 1) + 1)) / 2**k, size, interpolation = cv2.INTER_CUBIC)
        for k in range(1, 5)
    ]
    clouds = sum(layers)
    clouds = (0.3 + 0.35 * (clouds - clouds.mean()) / clouds.std()).clip(0, 1)[..., None]
    sky = clouds * (235, 238, 242) + (1 - clouds) * (90, 140, 215)
    ground = numpy.array((60, 70, 40)) + random.integers(-30, 30, (height, width, 1))
    is_ground = numpy.zeros((height, width, 1), bool)
    is_ground[120:] = is_ground[60:, 180:220] = True
    content = io.BytesIO()
    Image.fromarray(numpy.where(is_ground, ground, sky).astype(numpy.uint8)).save(content, 'PNG')
    return content.getvalue(), is_ground[..., 0]


def test_the_sky_is_found_and_flows_and_nothing_else_does(page):
    content, is_ground = _outdoors()
    _open(page, content)
    _brush(page, 'stays')
    _draw(page, (0.5, 0.9))
    pins = _field(page)['pins']
    page.focus('#flow-sky')
    page.keyboard.press('Enter')
    drawn = _field(page)
    assert drawn['pins'] == pins
    assert page.inner_text('#flow-found') == page.inner_text('#flow-status') == (
        f'Sky found, strokes added: {len(drawn["strokes"])}. Undo removes them.')
    flowing = numpy.zeros(is_ground.shape, numpy.uint8)
    for stroke in drawn['strokes']:
        (x, y), (end_x, end_y) = stroke['points']
        assert end_x > x and end_y == y
        cv2.line(flowing, (round(400 * x), round(200 * y)), (round(400 * end_x), round(200 * y)), 1,
                 round(400 * stroke['width']))
    assert not flowing[is_ground].any()
    assert flowing[~is_ground].mean() > 0.8
    # once more changes nothing; all are undone together
    page.keyboard.press('Enter')
    assert _field(page) == drawn
    assert page.inner_text('#flow-found') == 'The sky has its strokes already.'
    page.click('#flow-undo')
    assert _field(page) == {'strokes': [], 'pins': pins}
    assert page.is_hidden('#flow-found')


def test_where_no_sky_is_certain_nothing_is_drawn(page):
    _open(page)
    # the sentence is seen even where there was no room for it
    page.set_viewport_size({'width': 320, 'height': 568})
    page.evaluate("document.getElementById('flow-sky').click()")
    assert _field(page) is None
    box = page.locator('#flow-found').bounding_box()
    assert box['y'] + box['height'] <= 568
    assert page.inner_text('#flow-found') == page.inner_text('#flow-status')
    assert page.inner_text('#flow-found').startswith('No clear sky was found.')
    assert page.get_attribute('#flow-undo', 'aria-disabled') == 'true'
    _draw(page, (0.2, 0.5), (0.8, 0.5))
    assert page.is_hidden('#flow-found')


def test_a_sky_wants_room_for_all_its_strokes(page):
    _open(page, _outdoors()[0])
    page.evaluate(
        """() => { for (let i = 0; i < 63; i += 1) document.getElementById('flow-add').click(); }"""
    )
    page.click('#flow-sky')
    assert len(_field(page)['strokes']) == 63
    assert page.inner_text('#flow-found').startswith('That is as much as can be drawn')


@pytest.fixture
def on_phone(chromium, port):
    with opened(
            chromium,
            port,
            has_touch = True,
            is_mobile = True,
            viewport = {
                'width': 390,
                'height': 700
            }) as page:
        yield page, page.context.new_cdp_session(page)


def _touch(session, kind, *places):
    session.send(
        'Input.dispatchTouchEvent', {
            'type': f'touch{kind}',
            'touchPoints': [{
                'x': x,
                'y': y,
                'id': index
            } for index, (x, y) in enumerate(places)]
        })


def test_a_finger_draws_and_two_come_nearer(on_phone):
    page, session = on_phone
    _open(page)
    _touch(session, 'Start', _place(page, 0.3, 0.2))
    for part in range(3, 9):
        _touch(session, 'Move', _place(page, 0.3, part / 10))
    _touch(session, 'End')
    assert _field(page)['strokes'][0]['points'] == _near([(0.3, 0.2), (0.3, 0.8)])
    assert page.evaluate('scrollY') == 0
    middle = _place(page, 0.5, 0.5)
    width = page.locator('.sheet').bounding_box()['width']
    _touch(session, 'Start', (middle[0] - 50, middle[1]))
    _touch(session, 'Move', (middle[0] - 20, middle[1]))
    _touch(session, 'Start', (middle[0] - 20, middle[1]), (middle[0] + 20, middle[1]))
    for reach in (30, 40, 60):
        _touch(session, 'Move', (middle[0] - reach, middle[1]), (middle[0] + reach, middle[1]))
    _touch(session, 'End')
    assert page.locator('.sheet').bounding_box()['width'] == pytest.approx(3 * width, rel = 0.02)
    assert _place(page, 0.5, 0.5) == pytest.approx(middle, abs = 2)
    # lines hide no more of it
    thickness = page.locator('.sheet .line').evaluate(
        'line => parseFloat(getComputedStyle(line).strokeWidth)')
    assert thickness == pytest.approx(2.25 / 3, rel = 0.02)
    # the first of two fingers has drawn nothing, and what is drawn nearer lies where it is seen
    assert len(_field(page)['strokes']) == 1
    _touch(session, 'Start', _place(page, 0.45, 0.5))
    _touch(session, 'Move', _place(page, 0.55, 0.5))
    _touch(session, 'End')
    assert _field(page)['strokes'][1]['points'] == _near([(0.45, 0.5), (0.55, 0.5)])
    page.click('#flow-farther')
    page.click('#flow-farther')
    page.click('#flow-farther')
    page.wait_for_selector('#flow-farther[aria-disabled=true]')
    assert page.locator('.sheet').bounding_box()['width'] == pytest.approx(width, rel = 0.02)


def test_nothing_moves_unasked_where_less_motion_is_wanted(page):
    _open(page)
    _draw(page, (0.2, 0.5), (0.8, 0.5))
    page.wait_for_selector('.sheet .line', state = 'attached')
    assert page.is_hidden('.sheet canvas')
    page.get_by_role('button', name = 'Play the preview').click()
    page.wait_for_selector('.sheet canvas', state = 'visible')
    page.get_by_role('button', name = 'Pause the preview').click()
    page.wait_for_selector('.sheet canvas', state = 'hidden')


def test_the_picture_moves_where_it_flows_and_rests_elsewhere(chromium, port):
    picture = photo('PNG', (400, 200))
    with opened(chromium, port, reduced_motion = 'no-preference') as page:
        _open(page, picture)
        assert page.is_hidden('.sheet canvas')
        _draw(page, (0.2, 0.5), (0.8, 0.5))
        page.wait_for_selector('.sheet canvas', state = 'visible')
        page.click('#flow-undo')
        page.wait_for_selector('.sheet canvas', state = 'hidden')


def test_without_webgl_lines_alone_are_seen(chromium, port):
    with opened(chromium, port, reduced_motion = 'no-preference') as page:
        page.add_init_script(NO_WEBGL)
        page.reload()
        _open(page)
        _draw(page, (0.2, 0.5), (0.8, 0.5))
        page.wait_for_selector('.sheet .line', state = 'attached')
        page.wait_for_selector('#flow-still')
        assert page.is_hidden('#flow-play') and page.is_hidden('.sheet canvas')
        assert len(_field(page)['strokes']) == 1


def test_a_line_is_given_up_when_the_board_closes(page):
    _open(page)
    page.mouse.move(*_place(page, 0.2, 0.5))
    page.mouse.down()
    page.mouse.move(*_place(page, 0.8, 0.5))
    page.keyboard.press('Escape')
    page.wait_for_selector('#flow-board', state = 'hidden')
    page.mouse.up()
    page.evaluate('''() => {
        for (let time = 0; time < 2; time += 1) document.getElementById('flow-draw').click();
    }''')
    page.wait_for_selector('#flow-board[open]')
    _draw(page, (0.5, 0.2), (0.5, 0.8))
    assert [one['points'] for one in _field(page)['strokes']] == [_near([(0.5, 0.2), (0.5, 0.8)])]
    page.wait_for_function("() => document.querySelectorAll('.sheet .mark').length === 1")


def test_a_board_that_cannot_be_fetched_says_so(chromium, port):
    with opened(chromium, port, refusals = True) as page:
        page.route('**/flow/board.js', lambda route: route.abort())
        choose(page)
        page.click('#flow-draw')
        page.wait_for_selector('.notice[data-kind=wrong]')
        assert page.is_hidden('#flow-board')


def test_another_photo_has_its_own(page):
    _open(page)
    _draw(page, (0.2, 0.5), (0.8, 0.5))
    page.click('#flow-done')
    page.set_input_files('#file', file(photo('PNG', (120, 200)), 'other.png'))
    page.wait_for_function("() => document.getElementById('flow').value === ''")
    page.click('#flow-draw')
    page.wait_for_selector('#flow-board[open]')
    assert page.locator('#flow-marks li').count() == 0


def test_what_is_drawn_arrives_and_returns_with_the_clip(page):
    _open(page)
    _draw(page, (0.2, 0.5), (0.8, 0.5))
    _brush(page, 'stays')
    _draw(page, (0.5, 0.2))
    page.click('#flow-done')
    drawn = _field(page)
    with page.expect_response(lambda answer: answer.request.method == 'POST') as answer:
        page.click('#start')
    assert json.loads(answer.value.json()['parameters']['flow']) == drawn
    see(page, 'done')
    # an earlier clip's settings return with it, and go on with the next
    page.reload()
    see(page, 'done')
    assert _field(page) == drawn
    assert page.inner_text('[data-setting=flow] output') == '1 flowing, 1 staying'
    with page.expect_response(lambda answer: answer.request.method == 'POST') as answer:
        page.click('#again')
    assert json.loads(answer.value.json()['parameters']['flow']) == drawn


def test_an_engine_that_knows_no_flow_offers_none(chromium, directed_port):
    with opened(chromium, directed_port) as page:
        choose(page)
        assert page.locator('[data-setting=flow]').count() == 0


@pytest.mark.parametrize('language', ['en', 'zh'])
def test_the_board_has_no_findings_of_axe_and_fits_every_screen(chromium, port, language):
    axe = pytest.importorskip('axe_playwright_python.sync_playwright').Axe()
    with opened(chromium, port, language) as page:
        page.evaluate(axe.axe_script)
        _open(page)
        _draw(page, (0.2, 0.5), (0.8, 0.5))
        _draw(page, (0.5, 0.5))
        for width, height in ((320, 568), (390, 700), (844, 390), (1280, 800), (1920, 1080)):
            page.set_viewport_size({'width': width, 'height': height})
            assert page.evaluate('document.documentElement.scrollWidth') <= width
            assert (width, page.evaluate(CRAMPED)) == (width, [])
        for scheme in ('light', 'dark'):
            page.emulate_media(color_scheme = scheme, reduced_motion = 'reduce')
            assert (scheme, page.evaluate(FINDINGS)) == (scheme, [])


def test_of_several_photos_each_has_its_own(page):
    page.set_input_files('#file', [file(photo()), file(photo('PNG', (120, 200)), 'two.png')])
    page.locator('.tile', has_text = 'two').wait_for()
    page.click('#flow-draw')
    page.wait_for_selector('#flow-board[open]')
    _draw(page, (0.2, 0.5), (0.8, 0.5))
    page.click('#flow-done')
    page.locator('.tile .open', has_text = 'two').click()
    page.wait_for_function("() => document.getElementById('flow').value === ''")
    page.locator('.tile .open', has_text = 'photo').click()
    page.wait_for_function("() => document.getElementById('flow').value !== ''")
    drawn = _field(page)
    assert len(drawn['strokes']) == 1
    asked = []
    page.on(
        'response', lambda answer: asked.append(answer.json()['parameters']['flow'])
        if answer.request.method == 'POST' else None)
    page.click('#start')
    page.wait_for_selector('.tile[data-state=done] ~ .tile[data-state=done]')
    assert [flow and json.loads(flow)['strokes'] for flow in asked] == [drawn['strokes'], None]


def _texture(size):
    """A picture in which every movement can be seen: uint8 [H, W, 3]."""
    noise = numpy.random.default_rng(1).standard_normal((size[1], size[0], 3))
    noise = cv2.GaussianBlur(noise, (0, 0), 1.5)
    broad = cv2.GaussianBlur(noise, (0, 0), 20)
    return (128 + 30 * noise / noise.std() + 40 * broad / broad.std()).clip(0,
                                                                            255).astype(numpy.uint8)


def _png(image):
    content = io.BytesIO()
    image.save(content, 'PNG')
    return content.getvalue()


def _psnr(first, second):
    return 10 * numpy.log10(255**2 / max(1e-9, ((first.astype(float) - second)**2).mean()))


def test_the_page_moves_the_photo_as_the_engine_does(page):
    pixels = _texture((512, 288))
    engine = CameraMotion(
        Configuration(model = ModelOptions(image_prompt_width = 512, image_prompt_height = 288)))
    engine.load()
    request = parse_request([('flow', DRAWN), ('move', 'still'), ('seconds', '3'), ('seed', '1')],
                            Path(), 'photo')
    image = Image.fromarray(pixels)
    made = list(engine.animate(Photo(image, image.size), request, JobControl()))
    content = base64.b64encode(_png(image)).decode()
    parts = (0, 0.5, 0.8)
    shown = page.evaluate(FRAMES, [content, DRAWN, parts])
    for part, each in zip(parts, shown, strict = True):
        seen = numpy.asarray(Image.open(io.BytesIO(base64.b64decode(each))).convert('RGB'))
        assert _psnr(seen, made[round(part * len(made))]) >= 40, part
    assert _psnr(made[45], pixels) < 25


def _choose_two(page):
    page.set_input_files('#file', [file(photo()), file(photo('PNG', (120, 200)), 'two.png')])
    page.locator('.tile', has_text = 'two').wait_for()


def _open_board(page):
    page.wait_for_selector('#flow-draw:enabled')
    page.click('#flow-draw')
    page.wait_for_selector('#flow-board[open]')


def test_behind_the_board_no_photo_comes(page):
    _open(page)
    page.evaluate('''() => {
        window.shown = [];
        new MutationObserver(() => shown.push(photo.alt)).observe(photo, {attributes: true});
    }''')
    paste(page, ('pasted.png', photo('PNG', (120, 200))))
    drop(page, ('dropped.png', photo('PNG', (120, 200))))
    _draw(page, (0.2, 0.5), (0.8, 0.5))
    assert len(_field(page)['strokes']) == 1
    page.click('#flow-done')
    page.evaluate('photo.decode()')
    assert page.evaluate('shown') == []
    paste(page, ('third.png', photo('PNG', (120, 200))))
    page.wait_for_function("() => photo.alt.includes('third')")
    assert not any('pasted' in alt or 'dropped' in alt for alt in page.evaluate('shown'))


def test_the_board_closes_when_another_clip_is_laid(page):
    _choose_two(page)
    _open_board(page)
    _draw(page, (0.2, 0.5), (0.8, 0.5))
    page.locator('.tile .open', has_text = 'two').evaluate('button => button.click()')
    page.wait_for_selector('#flow-board', state = 'hidden')
    assert _field(page) is None
    page.locator('.tile .open', has_text = 'photo').click()
    assert len(_field(page)['strokes']) == 1


def test_what_is_drawn_stays_with_a_clip_that_has_gone_elsewhere(page):
    _choose_two(page)
    page.click('#start')
    page.wait_for_selector('.tile[data-state=done] ~ .tile[data-state=done]')
    _open_board(page)
    _draw(page, (0.2, 0.5), (0.8, 0.5))
    name = page.get_attribute('#photo', 'alt')
    other = page.context.new_page()
    other.goto(page.url)
    other.evaluate('localStorage.clear()')
    page.wait_for_selector('#flow-board', state = 'hidden')
    see(page, 'chosen')
    assert page.get_attribute('#photo', 'alt') == name
    assert len(_field(page)['strokes']) == 1


def test_what_is_drawn_stays_with_a_clip_that_could_not_be_sent(chromium, port):
    with opened(chromium, port, refusals = True) as page:
        page.route('**/jobs', lambda route: route.abort())
        _open(page)
        _draw(page, (0.2, 0.5), (0.8, 0.5))
        page.click('#flow-done')
        drawn = _field(page)
        page.click('#start')
        see(page, 'failed')
        page.set_input_files('#file', file(photo('PNG', (120, 200)), 'two.png'))
        page.wait_for_function("() => document.getElementById('flow').value === ''")
        page.locator('.tile .open', has_text = 'photo').click()
        page.wait_for_function("() => document.getElementById('flow').value !== ''")
        assert _field(page) == drawn


def test_what_is_drawn_on_photos_not_sent_yet_survives_a_reload(page):
    _choose_two(page)
    _open_board(page)
    _draw(page, (0.2, 0.5), (0.8, 0.5))
    page.click('#flow-done')
    drawn = _field(page)
    page.locator('.tile .open', has_text = 'two').click()
    expect(page.locator('.tile .open[aria-current=true]')).to_contain_text('two')
    _open_board(page)
    _brush(page, 'stays')
    _draw(page, (0.5, 0.5))
    page.click('#flow-done')
    stays = _field(page)
    assert drawn['strokes'] and stays == {'strokes': [], 'pins': stays['pins']}
    page.wait_for_function(
        "() => Object.keys(sessionStorage).some((key) => key.endsWith(':photo'))")
    for _time in range(2):
        page.reload()
        see(page, 'chosen')
        assert _field(page) == drawn
        assert page.inner_text('[data-setting=flow] output') == '1 flowing'
        page.locator('.tile .open', has_text = 'two').click()
        page.wait_for_function("() => document.getElementById('flow').value.includes('pins')")
        assert _field(page) == stays
        page.locator('.tile .open', has_text = 'photo').click()
    page.click('#start')
    see(page, 'done')
    # sent, it is kept no longer, and returns with its clip
    page.wait_for_selector('.tile[data-state=done] ~ .tile[data-state=done]')
    assert not page.evaluate(
        "() => Object.keys(sessionStorage).some((key) => key.endsWith(':places') && sessionStorage[key] !== '[]')"
    )
    page.locator('.tile .open', has_text = 'two').click()
    page.wait_for_function("() => document.getElementById('flow').value.includes('0.5')")
    assert _field(page) == stays


@pytest.mark.parametrize('drawn', [(0, 1), (1, )])
def test_of_the_same_photo_chosen_twice_each_keeps_what_is_drawn_on_it(page, drawn):
    page.evaluate(
        '''transfer => {
        const one = new File([transfer.files[0]], 'same.jpg', {lastModified: 1});
        const twice = new DataTransfer();
        for (const each of [one, one]) twice.items.add(each);
        const field = document.getElementById('file');
        field.files = twice.files;
        field.dispatchEvent(new Event('change'));
    }''', page.evaluate_handle(DATA_TRANSFER, encoded([('same.jpg', photo(size = (400, 200)))])))
    see(page, 'chosen')
    fields = [None, None]
    for place in drawn:
        page.locator('.tile .open').nth(place).evaluate('button => button.click()')
        _open_board(page)
        _draw(page, (0.2, 0.3 + 0.3 * place), (0.8, 0.5))
        page.click('#flow-done')
        fields[place] = _field(page)
    page.wait_for_function(
        "() => Object.keys(sessionStorage).some((key) => key.endsWith(':photo'))")
    page.reload()
    see(page, 'chosen')
    for place in (0, 1):
        page.locator('.tile .open').nth(place).evaluate('button => button.click()')
        assert _field(page) == fields[place]


def test_where_a_setting_is_a_place_on_the_photo_nothing_can_be_typed(page):
    choose(page, photo(size = (400, 200)))
    for name, button in (('flow', 'Draw what flows'), ('focus', 'Pick on the photo')):
        assert page.get_attribute(f'#{name}', 'readonly') == ''
        assert page.evaluate(f"document.getElementById('{name}').labels.length") == 0
        page.get_by_role('button', name = button, exact = True).wait_for()
    page.click('#focus-name')
    page.wait_for_selector('#focus-mark:focus')
    page.click('#focus-reset')
    page.wait_for_selector('#focus-choose:focus')
    page.click('#flow-name')
    page.wait_for_selector('#flow-board[open]')


def test_the_board_closes_when_an_engine_comes_that_knows_no_flow(page):
    _choose_two(page)
    page.locator('.tile .open', has_text = 'two').click()
    _open_board(page)
    _draw(page, (0.5, 0.2), (0.5, 0.8))
    page.click('#flow-done')
    page.locator('.tile .open', has_text = 'photo').click()
    _open_board(page)

    def leave_out(route):
        answer = route.fetch()
        body, count = re.subn(
            r'<div class="setting" data-setting="flow">.*?</p>\s*</div>',
            '',
            answer.text(),
            count = 1,
            flags = re.DOTALL)
        assert count == 1
        route.fulfill(response = answer, body = body)

    page.route(lambda address: not urlsplit(address).path.strip('/'), leave_out)
    page.evaluate("document.getElementById('language').click()")
    page.wait_for_selector('[data-setting=flow]', state = 'detached')
    page.wait_for_selector('#flow-board', state = 'hidden')
    asked = []
    page.on(
        'response', lambda answer: asked.append(answer.json()['parameters']['flow'])
        if answer.request.method == 'POST' else None)
    page.click('#start')
    page.wait_for_selector('.tile[data-state=done] ~ .tile[data-state=done]')
    assert asked == [None, None]


def test_another_brush_is_for_the_next_line(page):
    _open(page)
    _draw(page, (0.2, 0.5), (0.8, 0.5))
    _draw(page, (0.5, 0.5))
    assert page.locator('#flow-marks [data-chosen]').count() == 1
    _brush(page, 'stays')
    assert page.locator('#flow-marks [data-chosen]').count() == 0
    page.fill('#flow-width', '5')
    assert page.is_checked('[value=stays]')
    assert [one['width'] for one in _field(page)['strokes']] == [0.1]


def test_no_other_photo_is_seen_beside_the_setting(page):
    _open(page)
    _draw(page, (0.2, 0.5), (0.8, 0.5))
    page.click('#flow-done')
    page.wait_for_selector('.drawn .mark', state = 'attached')
    page.click('.wordmark')
    see(page, 'empty')
    assert page.locator('.drawn img[src]').count() == 0
    assert page.locator('.drawn .mark').count() == 0


def test_the_picture_moves_again_when_the_graphics_card_is_back(chromium, port):
    with opened(chromium, port, reduced_motion = 'no-preference') as page:
        _open(page, photo('PNG', (400, 200)))
        _draw(page, (0.2, 0.5), (0.8, 0.5))
        page.wait_for_selector('.sheet canvas', state = 'visible')
        canvas = page.locator('.sheet canvas')
        tell = "(canvas, name) => canvas.dispatchEvent(new Event(name, {cancelable: true}))"
        # it comes back to those alone who ask for it
        assert canvas.evaluate(tell, 'webglcontextlost') is False
        page.wait_for_selector('.sheet canvas', state = 'hidden')
        assert page.is_hidden('#flow-still') and page.is_visible('#flow-play')
        canvas.evaluate(tell, 'webglcontextrestored')
        page.wait_for_selector('.sheet canvas', state = 'visible')


def test_a_line_of_very_many_points_becomes_one_of_few(page):
    counts = page.evaluate('''async () => {
        const {simplify} = await import('./static/js/flow/marks.js');
        const points = Array.from({length: 150000}, (_none, index) => [
            0.5 + 0.4 * Math.cos(index / 40), 0.5 + 0.4 * Math.sin(index / 4000)]);
        return [points, [[0, 0.5], [0.5, 0.5001], [1, 0.5]], [[0, 0], [0.5, 0.5], [1, 0]]]
            .map((each) => simplify({points: each}, 1).length);
    }''')
    assert 2 < counts[0] <= 512 and counts[1:] == [2, 3]


def test_where_the_pointer_hardly_moves_no_points_are_added(page):
    _open(page)
    x, y = _place(page, 0.3, 0.5)
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 60):
        page.mouse.move(x + step / 30, y)
    page.mouse.move(x + 50, y)
    page.wait_for_function("() => document.querySelector('.sheet .band')?.getAttribute('d').length")
    page.wait_for_function("() => document.querySelector('.sheet .band').getBBox().width > 10")
    assert page.locator('.sheet .band').get_attribute('d').count('L') < 20
    page.mouse.up()
    assert len(_field(page)['strokes']) == 1


def test_beside_the_photo_nothing_is_drawn(page):
    _open(page, photo(size = (100, 800)))
    box, view = page.locator('.sheet').bounding_box(), page.locator('#flow-view').bounding_box()
    assert box['x'] - view['x'] > 0.2 * box['height']
    page.mouse.move(view['x'] + 5, box['y'] + box['height'] / 2)
    page.mouse.down()
    page.mouse.move(*_place(page, 0.5, 0.5), steps = 4)
    page.mouse.up()
    assert _field(page) is None
    page.mouse.move(box['x'] - 5, box['y'] + box['height'] / 2)
    page.mouse.down()
    page.mouse.move(*_place(page, 0.5, 0.7), steps = 4)
    page.mouse.up()
    assert len(_field(page)['strokes']) == 1


@pytest.mark.parametrize(('word', 'problem'),
                         [('x', 'not_json'), ('[]', 'no_object'), ('{"strokes": 1}', 'no_list'),
                          ('{"a": 1}', 'unknown'),
                          ('{"strokes": [{"points": [[0, 2]]}]}', 'out_of_range')])
def test_a_refusal_of_a_drawing_follows_the_language(page, word, problem):
    with pytest.raises(BadDrawing) as refused:
        parse_request([('flow', word)], Path(), 'photo')
    assert refused.value.details['problem'].key == f'flow.{problem}'
    found = page.evaluate(
        """async ([code, message]) => {
            const [api, words] = await Promise.all(['api', 'words'].map((name) => import(`./static/js/${name}.js`)));
            const [from, to] = await Promise.all(['en', 'zh'].map(api.words));
            const there = words.translateRefusal(code, message, from, to);
            return [there, words.translateRefusal(code, there, to, from)];
        }""", ['bad_drawing', refused.value.text.in_('en')])
    assert found == [refused.value.text.in_('zh'), refused.value.text.in_('en')]
