#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Photos to clips without a server: where they go, and what becomes of an interruption.

Libraries: Pillow, pytest.
"""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from batch import StandIn, run
from judges import drift
from PIL import Image

from modules import encoders
from modules.commands import output, targets
from modules.encoders import Clip
from modules.i18n import text


def reason(raised):
    return raised.value.text.in_('en')


def test_photos_of_one_name_get_two_names(tmp_path):
    photos = [Path('one/a.jpg'), Path('two/a.jpg'), Path('two/A.png')]
    found = [path.name for path in targets.free_paths(photos, tmp_path, '.gif')]
    assert found == ['a.gif', 'a-2.gif', 'A-3.gif']


def test_clips_do_not_replace_what_is_there(tmp_path):
    (tmp_path / 'a.gif').write_text('mine')
    assert list(targets.free_paths([tmp_path / 'a.jpg'], None, '.gif')) == [tmp_path / 'a-2.gif']


@pytest.mark.parametrize('typed', ['out/', 'out\\', 'out.gif/', 'out.gif\\'])
@pytest.mark.parametrize('photos', [1, 2])
def test_a_slash_at_the_end_means_a_folder(typed, photos):
    assert output.output_file(typed, photos) is None
    assert output.output_folder(typed) == Path(typed[:-1])


def test_a_folder_that_is_there_is_a_folder_whatever_its_name(tmp_path):
    (tmp_path / 'out.gif').mkdir()
    assert output.output_file(str(tmp_path / 'out.gif'), 2) is None


def test_a_file_is_a_file_for_one_photo_only(tmp_path):
    path = tmp_path / 'f.gif'
    assert output.output_file(str(path), 1) == path
    with pytest.raises(output.OutputRefused, match = 'not_a_folder'):
        output.output_file(str(path), 2)


@pytest.mark.parametrize('link', [os.link, os.symlink])
def test_the_photo_itself_is_refused_under_any_name(tmp_path, link):
    (tmp_path / 'a.webp').write_text('mine')
    link(tmp_path / 'a.webp', tmp_path / 'b.webp')
    with pytest.raises(output.OutputRefused) as raised:
        output.check_file(tmp_path / 'b.webp', [tmp_path / 'a.webp'], 'webp')
    assert 'the photo itself' in reason(raised)


@pytest.mark.parametrize(('name', 'kind'), [('a.mp4', 'gif'), ('a.xyz', 'gif'), ('a', 'gif'),
                                            ('a.gif', 'live-photo'), ('a.jpg', 'webp')])
def test_an_ending_of_another_format_is_refused(name, kind):
    with pytest.raises(output.OutputRefused) as raised:
        output.check_file(Path(name), [], kind)
    assert kind in reason(raised)


@pytest.mark.parametrize(('name', 'kind'), [('a.MP4', 'mp4'), ('a.pvt.zip', 'live-photo'),
                                            ('a.zip', 'live-photo'), ('a_MP.jpg', 'motion-photo')])
def test_the_ending_of_a_format_suits_it(name, kind):
    output.check_file(Path(name), [], kind)
    assert output.FORMATS[Path(name).suffix.lower()] == kind


class Interrupted(StandIn):
    """It is interrupted in the middle, and takes a while to let go."""

    folder_was_there = None

    def animate(self, request, path, control, *, created = None):
        # whoever waits for it must have begun to wait
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
        try:
            while True:
                control.stop_if_cancelled()
                time.sleep(0.01)
        finally:
            time.sleep(0.5)
            self.folder_was_there = path.parent.is_dir()


@pytest.fixture
def photo(tmp_path):
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    return tmp_path / 'a.png'


def test_an_interrupted_clip_ends_before_its_folder_goes(photo):
    animator = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        run(animator, photo)
    assert animator.folder_was_there
    assert [path.name for path in photo.parent.iterdir()] == ['a.png']


def test_what_had_to_be_given_up_is_told(photo, capsys):
    animator = StandIn()
    animator.note = text('encoders.gif_reduced', colours = 64, width = 32, height = 18, frames = 2)
    assert run(animator, photo) == 0
    assert '64 colours, 32 × 18 pixels and 2 frames' in capsys.readouterr().err


#: what a result tells, and what makes it of another one
SETTINGS = {
    'created': '2026-03-04T05:06:07+08:00',
    'parameters': {
        'seed': 7,
        'motion_bucket_id': 200,
        'format': 'gif',
        'engine': 'camera',
        'loop': 'pingpong',
        'key_frame': None
    },
    'options': {
        'ModelOptions': {
            'OutputFPS': 9
        }
    }
}


@pytest.fixture
def result(tmp_path):
    """A result as it lies in a job's folder, with its upload."""
    folder = tmp_path / 'job'
    folder.mkdir()
    Image.new('RGB', (8, 8)).save(folder / 'upload', 'PNG')
    clip = Clip(drift(2), 15, settings = json.dumps(SETTINGS))
    encoders.TABLE['gif'].encode(clip, folder / 'clip.gif')
    return folder / 'clip.gif'


def test_a_result_is_made_anew_as_it_tells(result):
    animator = StandIn()
    assert run(animator, '--again', result) == 0
    (request, created), = animator.asked
    assert created.isoformat() == SETTINGS['created']
    assert request.photo == result.parent / 'upload'
    assert {
        name: getattr(request, name)
        for name in SETTINGS['parameters']
    } == SETTINGS['parameters']


def test_a_photo_that_is_named_is_taken_instead(result, photo):
    animator = StandIn()
    assert run(animator, '--again', result, photo) == 0
    assert animator.asked[0][0].photo == photo
    assert (photo.parent / 'a.gif').read_text() == 'gif'


def test_what_is_given_goes_before_what_the_result_tells(result):
    animator = StandIn()
    run(animator, '--again', result, '--seed', 8, '--loop', 'none', '-o', result.parent / 'b.mp4')
    request = animator.asked[0][0]
    assert (request.seed, request.loop, request.format) == (8, 'none', 'mp4')
    assert request.motion_bucket_id == 200
    run(animator, '--again', result, '--format', 'webp')
    assert animator.asked[1][0].format == 'webp'


def test_a_result_is_replaced_only_where_it_is_named(result):
    before = result.read_bytes()
    run(StandIn(), '--again', result, '-o', f'{result.parent}/')
    run(StandIn(), '--again', result)
    (result.parent / 'clip.jpg').write_bytes((result.parent / 'upload').read_bytes())
    run(StandIn(), '--again', result, result.parent / 'clip.jpg')
    assert result.read_bytes() == before
    run(StandIn(), '--again', result, '-o', result)
    assert result.read_text() == 'gif'
