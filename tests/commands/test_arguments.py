#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The command line.

Libraries: pytest.
"""

import pytest

from modules import VERSION
from modules.commands import arguments
from modules.install import command_line


def test_serves_when_nothing_is_asked():
    given = arguments.parse([], 'en')
    assert (given.command, given.overrides, given.logging_level) == ('serve', {}, 'info')
    assert given.config.name == 'configuration.ini'


@pytest.mark.parametrize('argv', [['--port', '7', 'serve'], ['serve', '--port', '7'], ['--port=7']])
def test_options_stand_on_either_side(argv):
    assert arguments.parse(argv, 'en').overrides == {('WebOptions', 'Port'): '7'}


def test_an_option_on_one_side_survives_another_on_the_other():
    given = arguments.parse(['--host', 'a', 'serve', '--engine', 'camera'], 'en')
    assert set(given.overrides.values()) == {'a', 'camera'}


@pytest.mark.parametrize('level', ['DEBUG', 'debug', 'Warning'])
def test_logging_levels_are_known_in_any_case(level):
    assert arguments.parse(['--logging-level', level], 'en').logging_level == level.lower()


def test_a_models_folder_is_meant_from_where_the_person_is(tmp_path, monkeypatch):
    (tmp_path / 'model').mkdir()
    monkeypatch.chdir(tmp_path)
    given = arguments.parse(['--model', 'model'], 'en')
    assert given.overrides == {('ModelOptions', 'ModelName'): str(tmp_path / 'model')}


def test_a_models_name_stays_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = arguments.parse(['--model', 'owner/name'], 'en')
    assert given.overrides == {('ModelOptions', 'ModelName'): 'owner/name'}


def test_parameters_of_animate_become_fields():
    given = arguments.parse(['animate', 'a.jpg', 'b', '--seed', '5', '--motion-bucket-id', '9'],
                            'en')
    assert [str(path) for path in given.photos] == ['a.jpg', 'b']
    assert dict(given.fields) == {'seed': '5', 'motion_bucket_id': '9'}


@pytest.mark.parametrize('language', ['zh', 'en'])
@pytest.mark.parametrize('command', [[], *([command] for command in arguments.COMMANDS)])
def test_help_is_there_in_both_languages(capsys, language, command):
    with pytest.raises(SystemExit) as ended:
        arguments.parse([*command, '--help'], language)
    assert ended.value.code == 0
    assert '--config' in capsys.readouterr().out


def test_the_arguments_of_the_earlier_products_ini_are_understood():
    given = command_line.split_run_arguments(
        '--max-split-size-mb=14436 --output-temp --progress-bar')
    found = arguments.parse(given, 'en')
    assert (found.command, found.max_split_size_mb, found.progress_bar) == ('serve', 14436, True)


@pytest.mark.parametrize('value', ['20', '0', '-1', 'x', '1.5', '', '9' * 5000])
def test_a_split_size_torch_would_refuse_is_told(capsys, value):
    with pytest.raises(SystemExit) as ended:
        arguments.parse([f'--max-split-size-mb={value}'], 'en')
    assert ended.value.code == 2
    assert 'whole number of 21 or more' in capsys.readouterr().err


@pytest.mark.parametrize('argv', [['--seed', '5', '-o', 'b/', 'animate', 'a.jpg'],
                                  ['animate', 'a.jpg', '--seed', '5', '-o', 'b/'],
                                  ['-o', 'b/', 'animate', '--seed', '5', 'a.jpg']])
def test_parameters_stand_on_either_side_too(argv):
    found = arguments.parse(argv, 'en')
    assert (found.fields, found.output) == ((('seed', '5'), ), 'b/')


@pytest.mark.parametrize('argv', [['--version'], *([c, '--version'] for c in arguments.COMMANDS)])
def test_every_sub_command_tells_the_version(capsys, argv):
    with pytest.raises(SystemExit) as ended:
        arguments.parse(argv, 'en')
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == VERSION


@pytest.mark.parametrize(('language', 'words'), [('en', 'Which photos'), ('zh', '请写明照片')])
def test_animate_wants_photos(capsys, language, words):
    with pytest.raises(SystemExit) as ended:
        arguments.parse(['animate'], language)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(('argv', 'words'), [
    (['--porrt', '3'], ['no option --porrt', 'mean --port?']),
    (['animate', 'a.jpg', '--motion_bucket_id=3'], ['mean --motion-bucket-id?']),
    (['serv'], ['serve, animate, download, worker, doctor, not serv', 'mean serve?']),
    (['--logging-level', 'warn'], ['mean warning?']),
    (['doctor', 'more'], ['more']),
])
def test_what_is_not_understood_is_one_sentence_with_the_nearest_name(capsys, argv, words):
    with pytest.raises(SystemExit) as ended:
        arguments.parse(argv, 'en')
    assert ended.value.code == 2
    sentence, help_ = capsys.readouterr().err.splitlines()
    assert all(word in sentence for word in words)
    assert '--help' in help_


def test_it_is_said_in_the_readers_language(capsys):
    with pytest.raises(SystemExit):
        arguments.parse(['--porrt', '3'], 'zh')
    assert capsys.readouterr().err.startswith('没有叫 --porrt 的选项。是想写 --port 吗？')


def test_what_flows_stands_in_a_file(tmp_path, capsys):
    path = tmp_path / 'flow.json'
    path.write_text('\ufeff{"strokes": []}', encoding = 'utf-8')
    given = arguments.parse(['animate', 'a.jpg', '--flow', str(path)], 'en')
    assert given.fields == (('flow', '{"strokes": []}'), )
    path.write_bytes(b'\xff')
    for name in (path, tmp_path / 'nothing.json', tmp_path):
        with pytest.raises(SystemExit):
            arguments.parse(['animate', 'a.jpg', '--flow', str(name)], 'en')
        assert str(name) in capsys.readouterr().err


def test_a_photo_may_be_called_like_an_option():
    assert [str(path)
            for path in arguments.parse(['animate', '--', '--a.jpg'], 'en').photos] == ['--a.jpg']
