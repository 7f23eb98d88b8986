#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Temporary folders: gone with the program, or with the next one.

Libraries: pytest.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import program
import pytest

from modules import homes

HOLDER = '''
import sys
sys.path.insert(0, sys.argv[1])
from modules import homes
with homes.temporary_home() as home:
    home.mkdir()
    (home / 'photo').write_text('private')
    print(home, flush = True)
    sys.stdin.read()
'''


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A system's temporary folder of the test's own."""
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    return tmp_path


def held(temporary):
    """A program that lives, and its folder."""
    holder = subprocess.Popen([sys.executable, '-c', HOLDER, program.ROOT],
                              stdin = subprocess.PIPE,
                              stdout = subprocess.PIPE,
                              text = True)
    home = Path(holder.stdout.readline().strip())
    assert home.is_relative_to(temporary)
    return holder, home.parent


def test_a_home_goes_with_the_program(temporary):
    with homes.temporary_home() as home:
        home.mkdir()
        (home / 'photo').write_text('private')
    assert list(temporary.iterdir()) == []


def test_the_home_of_a_living_program_stays_though_its_lock_was_deleted(temporary):
    living, kept = held(temporary)
    (kept / homes.LOCK).unlink()
    long_ago = time.time() - 2 * homes.NEW
    os.utime(kept, (long_ago, long_ago))
    homes.remove_dead_homes()
    assert (kept / 'outputs' / 'photo').exists()
    living.communicate()


def test_the_home_of_a_dead_program_goes_with_the_next_and_that_of_a_living_one_stays(temporary):
    dead, gone = held(temporary)
    living, kept = held(temporary)
    try:
        os.kill(dead.pid, signal.SIGKILL)
        dead.communicate()
        assert gone.exists()
        homes.remove_dead_homes()
        assert not gone.exists()
        assert (kept / 'outputs' / 'photo').read_text() == 'private'
    finally:
        living.communicate('')
    assert list(temporary.iterdir()) == []


def aged(path, seconds = 3600):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_folder_that_is_new_may_be_about_to_get_its_lock(temporary):
    new, old = temporary / f'{homes.PREFIX}new', temporary / f'{homes.PREFIX}old'
    for folder in (new, old):
        folder.mkdir()
    aged(old)
    homes.remove_dead_homes()
    assert (new.exists(), old.exists()) == (True, False)


def test_a_link_in_the_folder_of_a_dead_program_leads_nowhere(temporary):
    precious = temporary / 'precious'
    precious.mkdir()
    (precious / 'picture').write_text('x')
    dead = temporary / f'{homes.PREFIX}dead'
    dead.mkdir()
    (dead / 'outputs').symlink_to(precious)
    (dead / homes.LOCK).touch()
    homes.remove_dead_homes()
    assert not dead.exists()
    assert (precious / 'picture').exists()


def test_what_only_sounds_alike_is_left_alone(temporary):
    for name in ('turn-live-photos', 'turn-live', f'my-{homes.PREFIX}x'):
        (temporary / name).mkdir()
        aged(temporary / name)
    homes.remove_dead_homes()
    assert len(list(temporary.iterdir())) == 3


def test_links_and_files_are_left_alone(temporary):
    target = temporary / 'precious'
    target.mkdir()
    link = temporary / f'{homes.PREFIX}link'
    link.symlink_to(target)
    file = temporary / f'{homes.PREFIX}file'
    file.write_text('x')
    aged(target)
    aged(file)
    os.utime(link, (0, 0), follow_symlinks = False)
    homes.remove_dead_homes()
    assert list(target.iterdir()) == []
    assert link.is_symlink()
    assert file.exists()


def test_folders_of_other_people_are_left_alone(temporary, monkeypatch):
    foreign = temporary / f'{homes.PREFIX}foreign'
    foreign.mkdir()
    aged(foreign)
    own = os.getuid()
    monkeypatch.setattr(os, 'getuid', lambda: own + 1)
    homes.remove_dead_homes()
    assert foreign.is_dir()
