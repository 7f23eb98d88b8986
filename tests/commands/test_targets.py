#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``animate``: where photos come from and where clips go, whatever the names and the disk are like.

Libraries: Pillow, pytest.
"""

import errno
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from batch import StandIn, run
from PIL import Image
from program import ROOT

from modules import encoders
from modules.commands import sources, targets
from modules.photos.reader import PhotoReader

INI = '[ModelOptions]\nEngine = camera\nSeconds = 1\nOutputFPS = 2\nImagePromptWidth = 64\nImagePromptHeight = 64\n'


@pytest.fixture
def photo(tmp_path):
    Image.new('RGB', (64, 48), 'red').save(tmp_path / 'a.jpg')
    return tmp_path / 'a.jpg'


def started(folder, *argv, **more):
    """The program itself, at work in a folder."""
    (folder / 'test.ini').write_text(INI)
    command = [sys.executable, str(ROOT / '__main__.py'), '--config', str(folder / 'test.ini')]
    given = {
        'stdout': subprocess.PIPE,
        'stderr': subprocess.PIPE,
        'stdin': subprocess.DEVNULL,
        **more
    }
    return subprocess.Popen(
        [*command, 'animate', *map(str, argv)],
        cwd = folder,
        env = {
            **os.environ,
            'LC_ALL': 'C.UTF-8',
            # a disk that takes no more would keep half of what Python compiles
            'PYTHONDONTWRITEBYTECODE': '1'
        },
        **given)


def ended(process, content = None):
    """Its exit code, and what it said."""
    output, complaint = process.communicate(content, 60)
    assert b'Traceback' not in (complaint or b''), complaint
    return process.returncode, (output or b'').decode(), (complaint or b'').decode()


class Meanwhile(StandIn):
    """Another run writes into the same folder while this one works."""

    def animate(self, request, path, control, *, created = None):
        (path.parent.parent / 'a.gif').write_text('of another run')
        return super().animate(request, path, control, created = created)


class Full(StandIn):
    """The disk is full."""

    def animate(self, request, path, control, *, created = None):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def test_what_another_run_wrote_meanwhile_stays(photo, capsys):
    assert run(Meanwhile(), photo) == 0
    assert (photo.parent / 'a.gif').read_text() == 'of another run'
    assert (photo.parent / 'a-2.gif').read_text() == 'gif'
    assert 'a-2.gif' in capsys.readouterr().out


def test_two_runs_into_one_folder_write_two_files(photo):
    processes = [started(photo.parent, photo, '-o', 'out/') for _each in range(2)]
    output = sorted(ended(process)[1].split(' ')[0] for process in processes)
    assert output == ['out/a-2.gif', 'out/a.gif']
    assert sorted(path.name for path in (photo.parent / 'out').iterdir()) == ['a-2.gif', 'a.gif']


class Overtaken(targets.Numbered):
    """Another run takes the first name between the look and the grasp."""

    def find(self):
        path = super().find()
        if not path.stem.endswith('-2'):
            path.write_text('of another run')
        return path


def test_a_name_that_is_taken_at_the_last_moment_stays_the_others(tmp_path):
    (tmp_path / 'made').write_text('mine')
    assert Overtaken(tmp_path, 'a', '.gif').put(tmp_path / 'made') == tmp_path / 'a-2.gif'
    assert (tmp_path / 'a.gif').read_text() == 'of another run'
    assert (tmp_path / 'a-2.gif').read_text() == 'mine'


def test_a_link_that_leads_nowhere_is_no_free_name(photo):
    (photo.parent / 'a.gif').symlink_to('nowhere')
    assert run(StandIn(), photo) == 0
    assert (photo.parent / 'a-2.gif').read_text() == 'gif'
    assert (photo.parent / 'a.gif').is_symlink()


def test_a_link_to_itself_is_a_name_in_use(photo):
    (photo.parent / 'a.gif').symlink_to('a.gif')
    assert targets.Numbered(photo.parent, 'a', '.gif').find() == photo.parent / 'a-2.gif'


@pytest.mark.parametrize('letter', ['长', 'x', 'é', '🌅'])
@pytest.mark.parametrize('kind', ['gif', 'live-photo', 'motion-photo'])
def test_a_photo_with_a_name_as_long_as_can_be_gets_a_clip(photo, letter, kind):
    stem = letter * ((255 - len('.jpg')) // len(letter.encode()))
    long = photo.rename(photo.with_name(f'{stem}.jpg'))
    Image.new('RGB', (8, 8)).save(photo)
    for _each in range(2):
        assert run(StandIn(), long, photo, '--format', kind) == 0
    made = [path for path in photo.parent.iterdir() if path.read_bytes() == kind.encode()]
    assert len(made) == 4
    for path in made:
        assert path.name.startswith((letter * 20, 'a'))
        assert path.name.endswith(encoders.TABLE[kind].extension)


@pytest.mark.parametrize('stem',
                         ['长' * 90, 'x' * 300, 'é' * 200, '🌅' * 80, 'ab. ' * 80, '\udcff' * 300])
@pytest.mark.parametrize('size', [255, 143, 14])
def test_a_name_is_shortened_by_whole_letters(stem, size):
    kept = targets.shorten(stem, size)
    assert stem.startswith(kept)
    assert size - 5 < len(os.fsencode(kept)) <= size
    assert os.fsdecode(os.fsencode(kept)) == kept
    assert targets.shorten(stem[:3], size) == stem[:3]


def test_how_long_a_name_may_be_is_known_of_folders_that_are_not_there_yet(tmp_path):
    output = subprocess.run(['getconf', 'NAME_MAX', tmp_path], capture_output = True, check = True)
    assert targets.max_name_bytes(tmp_path / 'not' / 'there') == min(255, int(output.stdout))


def test_names_that_are_too_long_are_told(photo, capsys):
    animator = StandIn()
    animator.reader = PhotoReader(10_000)
    assert run(animator, 'x' * 300 + '.jpg', photo) == 1
    assert 'File name too long' in capsys.readouterr().err
    assert (photo.parent / 'a.gif').exists()
    assert run(StandIn(), photo, '-o', photo.with_name('x' * 300 + '.gif')) == 2
    assert 'longer than this disk can hold' in capsys.readouterr().err


def test_what_macos_keeps_beside_photos_is_none(photo):
    (photo.parent / '._a.jpg').write_bytes(b'\0\5\26\7\0\2\0\0Mac OS X')
    assert list(sources.find_photos([photo.parent])) == [photo]
    assert list(sources.find_photos([photo.parent / '._a.jpg'])) == [photo.parent / '._a.jpg']


@pytest.mark.parametrize('ending', ['jfif', 'jpe', 'HIF', 'hif', 'JPG', 'pjpeg', 'heic', 'avif'])
def test_photos_of_any_usual_ending_are_taken_from_folders(photo, ending):
    other = photo.rename(photo.with_suffix(f'.{ending}'))
    (photo.parent / 'a.gif').touch()
    assert list(sources.find_photos([photo.parent])) == [other]


@pytest.mark.parametrize('output', ['b.jpg/', 'b.jpg/c.gif', 'b.jpg/c/', 'b.jpg/c/d.gif'])
def test_a_file_in_the_place_of_a_folder_is_told_of_itself(photo, capsys, output):
    before = photo.read_bytes()
    (photo.parent / 'b.jpg').write_bytes(before)
    assert run(StandIn(), photo, '-o', f'{photo.parent}/{output}') == 2
    assert capsys.readouterr().err == f'{photo.parent / "b.jpg"} is a file, not a folder.\n'
    assert (photo.parent / 'b.jpg').read_bytes() == before


@pytest.mark.parametrize('name', ['x.jpeg', 'x.JPEG', 'x.jpg'])
def test_a_motion_photo_may_have_either_ending_of_jpegs(photo, name):
    assert run(StandIn(), photo, '-o', photo.with_name(name)) == 0
    assert photo.with_name(name).read_text() == 'motion-photo'


@pytest.mark.parametrize('is_there', [True, False])
def test_a_link_that_is_named_is_written_through(photo, is_there):
    (photo.parent / 'far').mkdir()
    real = photo.parent / 'far' / 'real.gif'
    if is_there:
        real.write_text('before')
    (photo.parent / 'link.gif').symlink_to('far/real.gif')
    assert run(StandIn(), photo, '-o', photo.parent / 'link.gif') == 0
    assert (photo.parent / 'link.gif').is_symlink()
    assert real.read_text() == 'gif'
    assert not real.is_symlink()


def test_a_link_to_itself_is_told(photo, capsys):
    (photo.parent / 'link.gif').symlink_to('link.gif')
    assert run(StandIn(), photo, '-o', photo.parent / 'link.gif') == 1
    assert 'symbolic link' in capsys.readouterr().err
    assert (photo.parent / 'link.gif').is_symlink()


@pytest.mark.parametrize('name', ['-', '/dev/stdin', '/dev/fd/0'])
def test_a_photo_may_come_through_a_pipe(photo, name):
    process = started(photo.parent, name, '-o', 'x.gif', stdin = subprocess.PIPE)
    code, output, _complaint = ended(process, photo.read_bytes())
    assert (code, output.split(' ')[0]) == (0, 'x.gif')
    with Image.open(photo.parent / 'x.gif') as image:
        assert image.n_frames > 1


def test_what_comes_through_a_pipe_lies_in_the_working_folder(photo, tmp_path):
    with photo.open('rb') as file:
        code, output, _complaint = ended(started(photo.parent, '/dev/stdin', '-', stdin = file))
    assert (code, output.split(' ')[0]) == (1, 'photo.gif')
    assert (photo.parent / 'photo.gif').exists()


def test_a_photo_may_come_out_of_a_named_or_numbered_pipe(photo):
    reading, writing = os.pipe()
    os.write(writing, photo.read_bytes())
    os.close(writing)
    os.mkfifo(photo.parent / 'b.jpg')
    process = started(
        photo.parent, f'/dev/fd/{reading}', 'b.jpg', '--format', 'webp', pass_fds = [reading])
    os.close(reading)
    (photo.parent / 'b.jpg').write_bytes(photo.read_bytes())
    code, output, _complaint = ended(process)
    assert (code, [line.split(' ')[0]
                   for line in output.splitlines()]) == (0, ['photo.webp', 'b.webp'])


def test_a_photo_may_come_through_a_socket_as_over_ssh(photo):
    ours, theirs = socket.socketpair()
    process = started(photo.parent, '-', '-o', 'x.gif', stdin = theirs)
    theirs.close()
    ours.sendall(photo.read_bytes())
    ours.close()
    assert ended(process)[0] == 0


def test_nobody_reads_what_is_told_any_more(photo):
    reading, writing = os.pipe()
    os.close(reading)
    process = started(photo.parent, photo, photo, stdout = writing)
    os.close(writing)
    code, _output, complaint = ended(process)
    assert (code, complaint) == (1, '')
    assert (photo.parent / 'a.gif').exists()
    assert not (photo.parent / 'a-2.gif').exists()


@pytest.mark.skipif(sys.platform != 'linux', reason = 'there is no /dev/full')
def test_a_full_disk_below_what_is_told_is_told(photo):
    with Path('/dev/full').open('w') as full:
        code, _output, complaint = ended(started(photo.parent, photo, photo, stdout = full))
    assert code == 1
    assert 'No space left on device' in complaint
    assert complaint.count('\n') == 1


@pytest.mark.parametrize('kind', ['gif', 'mp4', 'webp', 'live-photo', 'motion-photo'])
def test_a_disk_that_takes_no_more_is_told(photo, kind):
    process = started(
        photo.parent,
        photo,
        '--format',
        kind,
        preexec_fn = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
    code, output, complaint = ended(process)
    assert (code, output) == (1, '')
    assert complaint == f'{photo}: its clip could not be written to {photo.parent}: the disk is full\n'
    assert sorted(path.name for path in photo.parent.iterdir()) == ['a.jpg', 'test.ini']


def test_a_full_disk_stops_no_other_photo(photo, capsys, caplog):
    assert run(Full(), photo, photo) == 1
    assert capsys.readouterr().err.count('the disk is full') == 2
    assert not caplog.records
    assert [path.name for path in photo.parent.iterdir()] == ['a.jpg']


def test_a_place_that_cannot_be_told_from_a_full_one_leaves_nothing(tmp_path):
    place = targets.Numbered(tmp_path, 'a', '.gif')
    with pytest.raises(FileNotFoundError):
        place.put(tmp_path / 'missing')
    assert list(tmp_path.iterdir()) == []
