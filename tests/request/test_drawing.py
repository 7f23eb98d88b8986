#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What was drawn, as JSON from anywhere: what is taken, and what is refused, where, in both languages and at once.

Libraries: pytest.
"""

import json
import time
from pathlib import Path

import pytest

from modules import errors
from modules.request import parse_request
from modules.request.drawing import Flow, Stroke, parse_flow, read_flow

LINE = {'points': [[0.25, 0.5], [0.75, 0.5]], 'width': 0.2, 'speed': 1.5}
PIN = {'points': [[0.5, 0.5]], 'width': 0.1}


def drawn(*strokes, **more):
    return json.dumps({'strokes': list(strokes), **more})


def test_what_was_drawn_reaches_the_engine():
    wanted = parse_request([('flow', drawn(LINE, pins = [PIN]))], Path('upload'), 'cat')
    assert wanted.drawn_flow == Flow((Stroke(((0.25, 0.5), (0.75, 0.5)), 0.2, 1.5), ), (Stroke(
        ((0.5, 0.5), ), 0.1), ))
    assert parse_request([], Path('upload'), 'cat').drawn_flow is None


def test_width_and_speed_have_defaults():
    flow = read_flow('{"strokes": [{"points": [[0, 0], [1, 1]]}], "pins": [{"points": [[1, 0]]}]}')
    assert (flow.strokes[0].width, flow.strokes[0].speed, flow.pins[0].width) == (0.1, 1.0, 0.1)


@pytest.mark.parametrize('word',
                         ['{}', '{"strokes": []}', '{"pins": []}', ' {\n"strokes" : [ ] } '])
def test_an_empty_drawing_is_none(word):
    assert parse_flow(word) is None


def test_what_stays_is_kept_where_nothing_flows_yet():
    short = parse_flow(drawn(pins = [PIN]))
    assert json.loads(short) == {'strokes': [], 'pins': [PIN]}
    assert parse_flow(short) == short


def test_the_shortest_form_is_the_same_drawing():
    word = ('{"strokes": [{"points": [[0.123456, -0.0], [1.0, 5e-1], [1e-9, 1]], "speed": 3.00000, '
            '"width": 0.0050}]}')
    short = parse_flow(word)
    assert short == '{"strokes":[{"points":[[0.1235,0],[1,0.5],[0,1]],"width":0.005,"speed":3}]}'
    assert parse_flow(short) == short


@pytest.mark.parametrize('strokes', [64, 1])
def test_as_much_as_may_be_is_taken(strokes):
    points = [[round(i / 511, 4), 0.5] for i in range(512 if strokes == 1 else 60)]
    word = drawn(*[{'points': points}] * strokes).replace(', ', ',')
    assert len(read_flow(word).strokes) == strokes


def test_the_shortest_form_is_never_longer_than_what_is_taken():
    # written out, 5e-4 takes two characters more
    points = ','.join(['[5e-4,5e-4]'] * 512)
    word = '{"strokes":[' + ','.join(['{"points":[' + points + ']}'] * 10) + ']}'
    assert len(word) <= 65536
    assert read_flow(word).strokes
    with pytest.raises(errors.BadDrawing) as refused:
        parse_flow(word)
    assert refused.value.details['problem'].key == 'flow.too_long'


def test_many_names_are_told_apart_at_once():
    names = [f'{number:x}' for number in range(7600)]
    word = '{' + ','.join(f'"{name}":1' for name in [*names, names[-1]]) + '}'
    assert len(word) <= 65536
    start = time.thread_time()
    with pytest.raises(errors.BadDrawing) as refused:
        parse_flow(word)
    assert time.thread_time() - start < 0.5
    assert refused.value.details['problem'].key == 'flow.repeated'


def line(**changes):
    return drawn({**LINE, **changes})


@pytest.mark.parametrize(('word', 'place', 'problem'), [
    ('x', 'flow', 'not_json'),
    ('{"strokes": [', 'flow', 'not_json'),
    ('[' * 60000, 'flow', 'not_json'),
    ('{"strokes":' * 5000, 'flow', 'not_json'),
    (drawn(LINE) + ' x', 'flow', 'not_json'),
    ('{' + ' ' * 65536 + '}', 'flow', 'too_long'),
    ('null', 'flow', 'no_object'),
    ('[]', 'flow', 'no_object'),
    ('"strokes"', 'flow', 'no_object'),
    (drawn(LINE, more = []), 'flow', 'unknown'),
    ('{"strokes": [], "strokes": []}', 'flow', 'repeated'),
    ('{"strokes": {}}', 'flow.strokes', 'no_list'),
    ('{"strokes": null}', 'flow.strokes', 'no_list'),
    ('{"pins": 7}', 'flow.pins', 'no_list'),
    (drawn(*[PIN] * 65), 'flow.strokes', 'too_many'),
    (drawn(*[LINE] * 32, pins = [PIN] * 33), 'flow', 'too_many'),
    (drawn(LINE, [1]), 'flow.strokes[1]', 'no_object'),
    (drawn(LINE, pins = [LINE]), 'flow.pins[0]', 'unknown'),
    (drawn({
        'points': [[0, 0]],
        'colour': 1
    }), 'flow.strokes[0]', 'unknown'),
    (drawn({}), 'flow.strokes[0].points', 'no_list'),
    (line(points = []), 'flow.strokes[0].points', 'empty'),
    (line(points = [[0, 0]] * 513), 'flow.strokes[0].points', 'too_many'),
    (line(points = [[0, 0], [1]]), 'flow.strokes[0].points[1]', 'not_a_point'),
    (line(points = [[0, 0], {
        'x': 1
    }]), 'flow.strokes[0].points[1]', 'not_a_point'),
    (line(points = [[0, '1']]), 'flow.strokes[0].points[0]', 'no_number'),
    (line(points = [[0, True]]), 'flow.strokes[0].points[0]', 'no_number'),
    (line(points = [[0, [1]]]), 'flow.strokes[0].points[0]', 'no_number'),
    (line(points = [[0, None]]), 'flow.strokes[0].points[0]', 'no_number'),
    (line(points = [[0, 1.0001]]), 'flow.strokes[0].points[0]', 'out_of_range'),
    (line(points = [[-0.0001, 1]]), 'flow.strokes[0].points[0]', 'out_of_range'),
    ('{"strokes": [{"points": [[0, ' + '9' * 60000 + ']]}]}', 'flow.strokes[0].points[0]',
     'out_of_range'),
    ('{"strokes": [{"points": [[0, 1e999]]}]}', 'flow.strokes[0].points[0]', 'out_of_range'),
    (line(points = [[0, float('nan')]]), 'flow', 'no_number'),
    (line(speed = float('inf')), 'flow', 'no_number'),
    (line(width = 0.004), 'flow.strokes[0].width', 'out_of_range'),
    (line(width = 0.501), 'flow.strokes[0].width', 'out_of_range'),
    (line(speed = 0.09), 'flow.strokes[0].speed', 'out_of_range'),
    (line(speed = 3.1), 'flow.strokes[0].speed', 'out_of_range'),
    (drawn(LINE, pins = [{
        **PIN, 'width': 'wide'
    }]), 'flow.pins[0].width', 'no_number'),
])
def test_what_is_wrong_is_refused_at_once_naming_its_place(word, place, problem):
    start = time.thread_time()
    with pytest.raises(errors.BadDrawing) as refused:
        parse_request([('flow', word)], Path('upload'), 'cat')
    assert time.thread_time() - start < 2
    refusal = refused.value
    assert (refusal.field, refusal.details['place']) == ('flow', place)
    assert refusal.details['problem'].key == f'flow.{problem}'
    for language in ('en', 'zh'):
        words = refusal.text.in_(language)
        assert words.startswith(place) and words.isprintable() and len(words) < 200
    # as it travels between processes
    again = errors.Refusal.from_dict(json.loads(json.dumps(refusal.to_dict())))
    assert again.text.in_('zh') == refusal.text.in_('zh')


def test_a_name_that_cannot_be_shown_is_escaped():
    with pytest.raises(errors.BadDrawing) as refused:
        parse_flow('{"\\u202e\\ud800\\n": 1}')
    assert '\\u202e\\ud800\\n' in refused.value.text.in_('en')
