#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A source archive, as it comes with a release: it runs as well as a clone. And the version, which stands in one place.

Libraries: Pillow, pytest.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from repository import tracked

from modules import VERSION

ROOT = Path(__file__).resolve().parent.parent
FOLDER = f'turn-live-photos-{VERSION}'


def git(*arguments):
    """What git says; nothing where there is no git, or no clone."""
    if not shutil.which('git'):
        return b''
    done = subprocess.run(
        ['git', '-c', 'user.name=nobody', '-c', 'user.email=nobody@example.invalid', *arguments],
        cwd = ROOT,
        capture_output = True,
        check = False)
    return done.stdout if done.returncode == 0 else b''


@pytest.fixture(scope = 'module')
def unpacked(tmp_path_factory):
    """The archive of what is here, what is not committed yet too; an unpacked archive is one already."""
    home = tmp_path_factory.mktemp('下载 here')
    now = git('stash', 'create').decode().strip() or 'HEAD'
    archive = git('archive', '--format=tar', f'--prefix={FOLDER}/', now)
    if archive:
        subprocess.run(['tar', '-x'], cwd = home, input = archive, check = True)
    else:
        for path in tracked():
            target = home / FOLDER / path.relative_to(ROOT)
            target.parent.mkdir(parents = True, exist_ok = True)
            shutil.copy(path, target)
    return home / FOLDER


def run(command, folder, **variables):
    done = subprocess.run([str(word) for word in command],
                          cwd = folder,
                          env = {
                              **os.environ, 'LC_ALL': 'C.UTF-8',
                              **variables
                          },
                          stdin = subprocess.DEVNULL,
                          capture_output = True,
                          encoding = 'utf-8',
                          timeout = 120,
                          check = False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_is_in_the_archive(unpacked):
    for name in ('START', 'START.bat', 'configuration.ini', 'requirements-tunnel.txt',
                 'requirements-fleet.txt', 'LICENSE', 'tests/conftest.py', 'docs/deploy.md',
                 'static/locales/zh.json', '.ci/run'):
        assert (unpacked / name).is_file(), name


def test_scripts_can_be_run_and_end_their_lines_as_their_systems_want(unpacked):
    assert (unpacked / 'START').stat().st_mode & stat.S_IXUSR
    assert (unpacked / '.ci' / 'run').stat().st_mode & stat.S_IXUSR
    assert b'\r' not in (unpacked / 'START').read_bytes()
    batch = (unpacked / 'START.bat').read_bytes()
    assert batch.count(b'\r\n') == batch.count(b'\n') > 10


def test_it_tells_its_version(unpacked):
    assert run([sys.executable, '__main__.py', '--version'], unpacked).strip() == VERSION


def test_it_makes_a_clip_from_any_folder(unpacked, tmp_path):
    ini = tmp_path / 'here.ini'
    # the libraries of the tests are there already
    ini.write_text('[LaunchOptions]\nUseVenv = False\n[ModelOptions]\nEngine = camera\n'
                   'ImagePromptWidth = 128\nImagePromptHeight = 64\nSeconds = 1\nOutputFPS = 4\n')
    (tmp_path / 'python3').write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / 'python3').chmod(0o755)
    said = run([
        unpacked / 'START', 'animate', unpacked / 'docs' / 'photo.jpg', '-o', 'moving.gif',
        '--config', ini
    ],
               tmp_path,
               PATH = f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')
    assert 'moving.gif' in said
    with Image.open(tmp_path / 'moving.gif') as clip:
        assert (clip.format, clip.n_frames) == ('GIF', 4)


def test_the_version_stands_in_one_place():
    stands = re.compile(rf'(?<![\d.]){re.escape(VERSION)}(?![\d.])')
    found = {
        path.relative_to(ROOT).as_posix()
        for path in tracked() if path.relative_to(ROOT).parts[0] != 'tests' and path.suffix not in (
            '.png', '.gif', '.jpg', '.webp',
            '.mp4') and stands.search(path.read_text(encoding = 'utf-8'))
    }
    # the other one tells what is new in it
    assert found == {'modules/__init__.py', 'CHANGELOG.md'}
