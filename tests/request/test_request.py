#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Form fields → request: which values reach the engines.

Libraries: pytest.
"""

from pathlib import Path

import pytest

from modules import errors
from modules.request import parse_request, safe_stem

PHOTO = Path('upload')


def request(*fields, **more):
    return parse_request(fields, PHOTO, 'cat', **more)


@pytest.mark.parametrize(('name', 'word'), [('motion_bucket_id', '0'), ('motion_bucket', '0'),
                                            ('noise_aug_strength', '0'),
                                            ('noise_aug_strength', '0.0'), ('seed', '0')])
def test_zero_is_a_value_and_not_a_missing_one(name, word):
    value = getattr(request((name, word)), {'motion_bucket': 'motion_bucket_id'}.get(name, name))
    assert value == 0
    assert value is not None and value is not False


@pytest.mark.parametrize(('name', 'default'), [('motion_bucket_id', 127),
                                               ('noise_aug_strength', 0.02),
                                               ('max_guidance_scale', 3.0), ('format', 'gif'),
                                               ('engine', 'auto'), ('loop', 'none'),
                                               ('key_frame', None)])
@pytest.mark.parametrize('nothing', ['absent', '', '  '])
def test_what_is_not_given_has_its_default(name, default, nothing):
    fields = [] if nothing == 'absent' else [(name, nothing)]
    assert getattr(request(*fields), name) == default


@pytest.mark.parametrize(('name', 'word', 'value'), [
    ('motion_bucket_id', '255', 255),
    ('motion_bucket_id', '+5', 5),
    ('noise_aug_strength', '1', 1.0),
    ('noise_aug_strength', '.5', 0.5),
    ('noise_aug_strength', '2e-2', 0.02),
    ('max_guidance_scale', '1', 1.0),
    ('max_guidance_scale', '10', 10.0),
    ('seed', '4294967295', 4294967295),
    ('seed', ' 7 ', 7),
])
def test_numbers_reach_the_request_exactly(name, word, value):
    assert getattr(request((name, word)), name) == value


@pytest.mark.parametrize('name', ['motion_bucket_id', 'seed'])
def test_whole_numbers_stay_whole(name):
    assert type(getattr(request((name, '9')), name)) is int


@pytest.mark.parametrize(('name', 'word'), [('motion_bucket_id', '-1'), ('motion_bucket_id', '256'),
                                            ('noise_aug_strength', '-0.001'),
                                            ('noise_aug_strength', '1.001'),
                                            ('max_guidance_scale', '0.999'),
                                            ('max_guidance_scale', '10.001'), ('seed', '-1'),
                                            ('seed', '4294967296'), ('seed', '1' * 40)])
def test_what_lies_beyond_an_edge_is_refused(name, word):
    with pytest.raises(errors.OutOfRange) as caught:
        request((name, word))
    assert caught.value.field == name


@pytest.mark.parametrize(('name', 'words'),
                         [('format', ('gif', 'mp4', 'webp', 'live-photo', 'motion-photo')),
                          ('engine', ('auto', 'svd', 'camera')),
                          ('loop', ('none', 'pingpong', 'crossfade', 'model')),
                          ('key_frame', ('start', 'middle', 'end'))])
def test_choices_reach_the_request(name, words):
    assert [getattr(request((name, word)), name) for word in words] == list(words)


def test_the_short_name_of_motion_is_the_same_field():
    assert request(('motion_bucket', '200')).motion_bucket_id == 200


@pytest.mark.parametrize('names', [('seed', 'seed'), ('motion_bucket', 'motion_bucket_id'),
                                   ('motion_bucket_id', 'motion_bucket')])
@pytest.mark.parametrize('first', ['0', '5'])
def test_a_field_given_twice_is_refused(names, first):
    with pytest.raises(errors.RepeatedField) as caught:
        request((names[0], first), (names[1], '5'))
    assert caught.value.field == names[1]


def test_an_empty_field_beside_a_filled_one_is_not_a_repetition():
    assert request(('seed', ''), ('seed', '3'), ('seed', ' ')).seed == 3


def test_an_unknown_field_is_refused_even_when_it_is_empty():
    with pytest.raises(errors.UnknownField):
        request(('frames', ''))


def test_a_request_that_names_no_engine_takes_the_one_of_the_options():
    assert request(engine = 'camera').engine == 'camera'
    assert request(('engine', 'svd'), engine = 'camera').engine == 'svd'
    assert request(('engine', 'auto'), engine = 'camera').engine == 'auto'


def test_drawn_seeds_fill_the_range_and_differ():
    seeds = [request().seed for _ in range(64)]
    assert len(set(seeds)) == 64
    assert min(seeds) >= 0 and 2**31 < max(seeds) < 2**32


def test_the_photo_and_its_name_come_through():
    assert (request().photo, request().stem) == (PHOTO, 'cat')


@pytest.mark.parametrize(('name', 'stem'), [
    ('cat.jpg', 'cat'),
    ('my cat.v2.jpeg', 'my cat.v2'),
    ('猫咪.heic', '猫咪'),
    ('no ending', 'no ending'),
    ('../../etc/passwd', 'passwd'),
    ('C:\\Users\\me\\cat.png', 'cat'),
    ('a/b\\c.png', 'c'),
    ('.jpg', 'jpg'),
    ('..', 'photo'),
    ('-rf.jpg', 'rf'),
    ('a<b>:"|?*c.jpg', 'abc'),
    ('evil／..＼x℀﹨.jpg', 'evil..x'),
    ('line\nbreak\x00\u202e.jpg', 'linebreak'),
    ('  cat . .jpg', 'cat'),
    ('cat-.jpg', 'cat'),
    ('x' * 200 + '.jpg', 'x' * 80),
    ('x' * 79 + ' y.jpg', 'x' * 79),
    ('?.jpg', 'photo'),
    ('folder/', 'photo'),
    ('', 'photo'),
    (None, 'photo'),
])
def test_names_of_photos_become_fit_for_results(name, stem):
    assert safe_stem(name) == stem


@pytest.mark.parametrize(('word', 'focus', 'point'), [
    ('0.25,0.75', '0.25,0.75', (0.25, 0.75)),
    ('0, 1', '0,1', (0.0, 1.0)),
    ('.5 ,1.0', '0.5,1', (0.5, 1.0)),
    ('0.333333,0', '0.3333,0', (0.3333, 0.0)),
])
def test_a_focus_is_a_point(word, focus, point):
    wanted = request(('focus', word))
    assert (wanted.focus, wanted.focus_point) == (focus, point)


@pytest.mark.parametrize('word', [
    '0.5', '0.5,', ',', '0.5;0.5', '1.1,0', '-0.1,0', 'nan,0', '0.5,0.5,0.5', 'a,b', '1e-1,0',
    '٠,٠', '0.5,0.5\n'[:7] + 'x'
])
def test_what_is_no_point_is_refused_by_name(word):
    with pytest.raises(errors.NotAPoint) as refused:
        request(('focus', word))
    assert refused.value.field == 'focus'
    assert word[:40] in refused.value.text.in_('en') and word[:40] in refused.value.text.in_('zh')


def test_without_a_focus_there_is_no_point():
    assert request().focus_point is None


@pytest.mark.parametrize(('name', 'word'), [('seconds', '0.9'), ('seconds', '61'), ('blur', '1.1'),
                                            ('blur', '-0.1')])
def test_lengths_and_blurs_have_their_range(name, word):
    with pytest.raises(errors.OutOfRange) as refused:
        request((name, word))
    assert refused.value.field == name


@pytest.mark.parametrize('word', ['Orbit', 'pan', 'zoom'])
def test_a_move_is_one_of_the_known(word):
    with pytest.raises(errors.UnknownChoice):
        request(('move', word))


@pytest.mark.parametrize(('word', 'text'), [
    ('waves roll in', 'waves roll in'),
    (' 海浪\n\t涌来 ', '海浪 涌来'),
    ('a\x1b[31mred\x00 kite', 'a [31mred kite'),
    ('👨\u200d👩 می\u200cآید', '👨\u200d👩 می\u200cآید'),
    (' \u200d\u200c', None),
    ('\u202e', None),
    ('', None),
    ('风' * 1000, '风' * 1000),
])
def test_a_text_is_one_printable_line(word, text):
    wanted = request(('prompt', word), ('negative_prompt', word))
    assert wanted.prompt == wanted.negative_prompt == text


@pytest.mark.parametrize('name', ['prompt', 'negative_prompt'])
def test_a_text_that_is_too_long_is_refused(name):
    with pytest.raises(errors.TooLong) as refused:
        request((name, 'x' * 1001))
    assert refused.value.field == name
    assert refused.value.details == {'length': 1001, 'longest': 1000}
