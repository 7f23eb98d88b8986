#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Photos to clips without a server: where they go, and what becomes of an interruption.

Libraries: Pillow, pytest.
"""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from modules import arguments, batch, errors


def reason(raised):
    return raised.value.args[0].in_('en')


def test_photos_of_one_name_get_two_names(tmp_path):
    photos = [Path('one/a.jpg'), Path('two/a.jpg'), Path('two/A.png')]
    found = [path.name for path in batch.outputs(photos, tmp_path, '.gif')]
    assert found == ['a.gif', 'a-2.gif', 'A-3.gif']


def test_clips_do_not_replace_what_is_there(tmp_path):
    (tmp_path / 'a.gif').write_text('mine')
    assert list(batch.outputs([tmp_path / 'a.jpg'], None, '.gif')) == [tmp_path / 'a-2.gif']


@pytest.mark.parametrize('typed', ['out/', 'out\\', 'out.gif/', 'out.gif\\'])
@pytest.mark.parametrize('photos', [1, 2])
def test_a_slash_at_the_end_means_a_folder(typed, photos):
    assert batch.named_file(typed, photos) is None
    assert batch.folder(typed) == Path(typed[:-1])


def test_a_folder_that_is_there_is_a_folder_whatever_its_name(tmp_path):
    (tmp_path / 'out.gif').mkdir()
    assert batch.named_file(str(tmp_path / 'out.gif'), 2) is None


def test_a_file_is_a_file_for_one_photo_only(tmp_path):
    path = tmp_path / 'f.gif'
    assert batch.named_file(str(path), 1) == path
    with pytest.raises(batch.Unsuitable, match = 'not_a_folder'):
        batch.named_file(str(path), 2)


@pytest.mark.parametrize('link', [os.link, os.symlink])
def test_the_photo_itself_is_refused_under_any_name(tmp_path, link):
    (tmp_path / 'a.webp').write_text('mine')
    link(tmp_path / 'a.webp', tmp_path / 'b.webp')
    with pytest.raises(batch.Unsuitable) as raised:
        batch.check_target(tmp_path / 'b.webp', [tmp_path / 'a.webp'], 'webp')
    assert 'the photo itself' in reason(raised)


@pytest.mark.parametrize(('name', 'kind'), [('a.mp4', 'gif'), ('a.xyz', 'gif'), ('a', 'gif'),
                                            ('a.gif', 'live-photo'), ('a.jpg', 'webp')])
def test_an_ending_of_another_format_is_refused(name, kind):
    with pytest.raises(batch.Unsuitable) as raised:
        batch.check_target(Path(name), [], kind)
    assert kind in reason(raised)


@pytest.mark.parametrize(('name', 'kind'), [('a.MP4', 'mp4'), ('a.pvt.zip', 'live-photo'),
                                            ('a.zip', 'live-photo'), ('a_MP.jpg', 'motion-photo')])
def test_the_ending_of_a_format_suits_it(name, kind):
    batch.check_target(Path(name), [], kind)
    assert batch.FORMATS[Path(name).suffix.lower()] == kind


class Reader:

    def check(self, path):
        return None


class Interrupted:
    """A queue whose job is interrupted while it runs, and that takes a while to let go of it."""

    def __init__(self):
        self.animator = self
        self.reader = Reader()
        self.preferred = 'auto'
        self.engines = self
        self.folder_was_there = None

    def choose(self, name):
        return 'camera'

    def submit(self, job):
        threading.Thread(target = self.work, args = (job, ), daemon = True).start()

    def cancel(self, job):
        job.cancel()

    def work(self, job):
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(errors.Cancelled):
            while True:
                job.stop_if_cancelled()
                time.sleep(0.01)
        time.sleep(0.5)
        self.folder_was_there = job.folder.is_dir()
        job.finish('cancelled')


def test_an_interrupted_job_ends_before_its_folder_goes(tmp_path):
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    queue = Interrupted()
    given = arguments.parse(['animate', str(tmp_path / 'a.png')], 'en')
    with pytest.raises(KeyboardInterrupt):
        batch.animate(queue, given, 'en')
    assert queue.folder_was_there
    assert [path.name for path in tmp_path.iterdir()] == ['a.png']
