#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The option table and the INI file.

Libraries: pytest.
"""

from pathlib import Path

import pytest

from modules import configuration
from modules.configuration import Configuration, ConfigurationError

ROOT = Path(__file__).resolve().parents[2]

#: what the earlier product shipped: no spaces, a misspelt section, keys commented out
EARLIER = '''# 注意：在等号之间使用空格是不允许的

[LaunchOptions]
UseVenv=True
SkipPythonChecking=False
RunArguments=--max-split-size-mb=14436

[InstalltionOptions]
PipMirrorUrl=https://pypi.example/simple?a=b
PyTorchIndexUrl=https://torch.example/whl/cu128
ModelRepositoryUrl=https://mirror.example/stabilityai/stable-video-diffusion-img2vid-xt

[StoreOptions]
VenvHome=.venv
ModelsHome=models/
OutputsHome=outputs

[ModelOptions]
ModelName=stabilityai/stable-video-diffusion-img2vid-xt
OutputFPS=24
OutputFrames=72
InferenceSteps=25
#DecodeChunkSize=8
UNet=True
ImagePromptWidth=1024
ImagePromptHeight=576

[WebOptions]
Host=0.0.0.0
Port=5000
MaxContentLength=10485760'''


@pytest.fixture
def ini(tmp_path):

    def write(content, encoding = 'utf-8'):
        path = tmp_path / 'a.ini'
        path.write_bytes(content.encode(encoding))
        return path

    return write


def problems(path, overrides = None):
    with pytest.raises(ConfigurationError) as caught:
        configuration.read(path, overrides)
    return [problem.in_('en') for problem in caught.value.problems]


def test_the_shipped_file_sets_every_option_to_its_default():
    assert configuration.read(ROOT / 'configuration.ini') == configuration.read()


def test_the_shipped_file_names_every_option():
    content = (ROOT / 'configuration.ini').read_text(encoding = 'utf-8')
    for section, keys in configuration.OPTIONS.items():
        assert f'[{section}]' in content
        for key in keys:
            assert f'\n{key} =' in content


def test_earlier_files_keep_working(ini, tmp_path):
    found = configuration.read(ini(EARLIER))
    assert found.installation.pip_mirror_url == 'https://pypi.example/simple?a=b'
    assert found.launch.run_arguments == '--max-split-size-mb=14436'
    assert (found.web.host, found.model.output_fps, found.model.output_frames) == ('0.0.0.0', 24,
                                                                                   72)
    assert found.store.models_home == tmp_path / 'models'
    assert found.model.decode_chunk_size is None


#: ``utf-16`` and ``utf-32`` write their mark; Notepad's "Unicode" is the former, its "UTF-8 with BOM" utf-8-sig
ENCODINGS = ('utf-8', 'utf-8-sig', 'gb18030', 'utf-16', 'utf-32', 'utf-16-le', 'utf-16-be')


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('newline', ['\n', '\r\n'])
def test_files_of_every_editor_are_read(ini, encoding, newline):
    path = ini(EARLIER.replace('\n', newline), encoding)
    assert configuration.read(path).web.max_content_length == 10485760


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('mark', ['', '\ufeff'])
def test_values_and_problems_are_in_the_letters_that_were_written(ini, encoding, mark, tmp_path):
    path = ini(f'{mark}; 中文注释\r\n[StoreOptions]\r\nModelsHome = 模型 é\r\n', encoding)
    assert configuration.read(path).store.models_home == tmp_path / '模型 é'
    path = ini(f'{mark}; 中文\r\n[WebOptions]\r\nPrt = 八十\r\n', encoding)
    assert problems(path) == ['line 3: there is no option called Prt. Did you mean Port?']


@pytest.mark.parametrize('content', [
    b'\xff\xfe[\x00W',
    b'\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00',
    b'\xef\xbb\xbf[WebOptions]\nPort = \xff',
    b'[WebOptions]\n\x00\x00\x00Port = 81',
])
def test_what_is_no_text_is_named_in_readable_letters(tmp_path, content):
    path = tmp_path / 'configuration.ini'
    path.write_bytes(content)
    assert [problem for problem in problems(path) if problem.isprintable()] == [
        f'{path} is no text that can be read. Save it as UTF-8: in Notepad '
        'with "Save as", Encoding: UTF-8.'
    ]


def test_keys_are_known_in_any_case(ini):
    assert configuration.read(ini('[WebOptions]\nport = 81\nHOST = ::1')).web.port == 81


def test_empty_values_are_defaults(ini):
    assert configuration.read(ini('[WebOptions]\nPort =\n[ModelOptions]\nEngine=')).web.port == 5000


def test_reports_every_problem_with_its_line_and_the_nearest_name(ini):
    path = ini(
        '[WebOptions]\nPrt = 5\nPort = 99999\n[ModelOption]\n\n[ModelOptions]\nOutputFPS = 0\n'
        'ImagePromptWidth = 1000\nEngine = cam\nUNet = maybe\nOutputFPS = 7\n')
    found = problems(path)
    assert [line.split(':')[0] for line in found
            ] == ['line 2', 'line 3', 'line 4', 'line 7', 'line 8', 'line 9', 'line 10', 'line 11']
    assert 'Did you mean Port?' in found[0]
    assert '0 to 65535' in found[1]
    assert 'Did you mean ModelOptions?' in found[2]
    assert '1 to 60' in found[3]
    assert 'multiple of 64' in found[4]
    assert 'auto, wan, svd, camera' in found[5]
    assert 'True or False' in found[6]
    assert 'first on line 7' in found[7]


def test_a_section_under_both_spellings_is_one(ini):
    path = ini('[InstalltionOptions]\nPipMirrorUrl = a\n[InstallationOptions]\nPyTorchIndexUrl = b')
    found = configuration.read(path).installation
    assert (found.pip_mirror_url, found.pytorch_index_url) == ('a', 'b')


@pytest.mark.parametrize(('content', 'expected'), [
    ('Port = 5', 'stands before any section'),
    ('[WebOptions]\nPort 5', 'is no setting'),
])
def test_reports_what_is_no_ini(ini, content, expected):
    assert expected in problems(ini(content))[0]


def test_reports_a_file_that_is_not_there(tmp_path):
    assert 'cannot read' in problems(tmp_path / 'none.ini')[0]


def test_the_command_line_wins(ini):
    path = ini('[WebOptions]\nPort = 1')
    assert configuration.read(path, {('WebOptions', 'Port'): '2'}).web.port == 2


def test_problems_of_the_command_line_are_told_as_such():
    assert problems(None, {('WebOptions', 'Port'): 'x'})[0].startswith('command line: Port = x')


def test_problems_are_told_in_chinese_too(ini):
    with pytest.raises(ConfigurationError) as caught:
        configuration.read(ini('[WebOptions]\nPrt = 5'))
    assert caught.value.problems[0].in_('zh') == '第 2 行：没有叫 Prt 的设置。是想写 Port 吗？'


@pytest.mark.parametrize(('key', 'value'), [('OutputFPS', '1'), ('OutputFPS', '60'),
                                            ('OutputFrames', '200'), ('ImagePromptHeight', '4096'),
                                            ('DecodeChunkSize', '8'), ('Device', 'CUDA:1'),
                                            ('ImageFit', 'Crop')])
def test_accepts(ini, key, value):
    configuration.read(ini(f'[ModelOptions]\n{key} = {value}'))


@pytest.mark.parametrize(('key', 'value'), [('OutputFPS', '0'), ('OutputFPS', '61'),
                                            ('OutputFPS', '7.5'), ('OutputFrames', '0'),
                                            ('ImagePromptHeight', '0'), ('Device', 'gpu'),
                                            ('OutputFrames', '１０'), ('DecodeChunkSize', '0')])
def test_refuses(ini, key, value):
    assert key in problems(ini(f'[ModelOptions]\n{key} = {value}'))[0]


def test_nothing_is_limited_when_the_upload_limit_is_zero(ini):
    assert configuration.read(ini('[WebOptions]\nMaxContentLength = 0')).web.max_content_length == 0


def test_paths_start_at_the_ini_wherever_the_program_runs(ini, tmp_path, monkeypatch):
    monkeypatch.chdir('/')
    assert configuration.read(ini('[StoreOptions]\nVenvHome = v')).store.venv_home == tmp_path / 'v'


def test_names_are_parted_by_commas_and_spaces(ini):
    path = ini('[WebOptions]\nAllowedHosts = A.example, b.example c.example')
    assert configuration.read(path).web.allowed_hosts == ('a.example', 'b.example', 'c.example')


def test_options_cannot_be_changed():
    with pytest.raises(AttributeError):
        Configuration().web.port = 1


def test_a_models_folder_is_meant_from_the_inis_folder(ini, tmp_path):
    (tmp_path / 'my' / 'model').mkdir(parents = True)
    found = configuration.read(ini('[ModelOptions]\nModelName = my/model'))
    assert found.model.model_name == str(tmp_path / 'my/model')


def test_a_models_name_stays_a_name(ini):
    assert configuration.read(
        ini('[ModelOptions]\nModelName = my/model')).model.model_name == 'my/model'


def test_one_unreadable_line_hides_no_other_problem(ini):
    found = problems(ini('x = 1\n[WebOptions]\nPrt = 6000\nnonsense\nPort = abc\n[Bogus]\n'))
    assert [line.split(':')[0]
            for line in found] == ['line 1', 'line 3', 'line 4', 'line 5', 'line 6']


def test_indented_lines_count_like_others(ini):
    assert configuration.read(
        ini('[LaunchOptions]\n [WebOptions]\n   Port = 6000')).web.port == 6000
    assert 'Bogus' in problems(ini('[WebOptions]\n  Bogus = 1'))[0]


@pytest.mark.parametrize('newline', ['\r', '\r\n'])
def test_every_kind_of_line_end_counts(ini, newline):
    path = ini(newline.join(['# a\x0cb = 1 \u2028 c', '[WebOptions]', 'Port = 6000']))
    assert configuration.read(path).web.port == 6000


def test_defaults_stay_where_the_program_is_whatever_ini_is_named(ini):
    found = configuration.read(ini('[WebOptions]\nPort = 1')).store
    assert (found.venv_home, found.models_home) == (ROOT / '.venv', ROOT / 'models')


def test_what_is_written_is_read_the_same_wherever_it_lies(ini, tmp_path):
    options = configuration.read(
        ini('[WebOptions]\nPassword = a; b = c # 密\nAllowedHosts = a.example *.b.example\n'
            'TrustedProxies = 10.0.0.0/8 ::1\nAllowedOrigins = https://c.example\n'
            '[StoreOptions]\nModelsHome = there\nRetentionHours = 0.5\n'
            '[ModelOptions]\nDecodeChunkSize = 4\nUNet = no\n'))
    (tmp_path / 'elsewhere').mkdir()
    copy = tmp_path / 'elsewhere' / 'b.ini'
    copy.write_text(configuration.to_ini(options), encoding = 'utf-8')
    assert configuration.read(copy) == options
    copy.write_text(configuration.to_ini(Configuration()), encoding = 'utf-8')
    assert configuration.read(copy).model == Configuration().model
