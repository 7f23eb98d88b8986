#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The house rules that no formatter holds.

Libraries: pytest.
"""

import ast
import functools
import io
import re
import tokenize
from pathlib import Path

import pytest
from repository import parsed, tracked

from modules import configuration
from modules.commands import arguments
from modules.request.parameters import PARAMETERS

ROOT = Path(__file__).resolve().parent.parent

PYTHON = sorted(tracked('*.py'))
SOURCE = [path for path in PYTHON if path.relative_to(ROOT).parts[0] not in ('tests', 'bench')]


def name(path):
    return str(path.relative_to(ROOT))


@functools.cache
def imports(path):
    """Names of the modules a file imports, inside functions too; for type checkers alone does not count."""
    nodes = parsed(path)
    for_types = {
        inner
        for node in nodes
        if isinstance(node, ast.If) and getattr(node.test, 'id', '') == 'TYPE_CHECKING'
        for inner in ast.walk(node)
    }
    found = []
    for node in nodes:
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f'{node.module}.{alias.name}' for alias in node.names)]
    return found


@pytest.mark.parametrize('path', PYTHON, ids = name)
def test_every_file_says_what_it_is(path):
    lines = path.read_text(encoding = 'utf-8').splitlines()
    assert lines[:2] == ['#!/usr/bin/env python3', '# -*- coding: UTF-8 -*-']
    assert ast.get_docstring(parsed(path)[0])


@pytest.mark.parametrize('path', PYTHON, ids = name)
def test_every_equals_sign_stands_between_spaces(path):
    source = path.read_text(encoding = 'utf-8')
    inside_f_string = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        inside_f_string += (kind == 'FSTRING_START') - (kind == 'FSTRING_END')
        if token.string == '=' and not inside_f_string:
            line, start, end = token.line, token.start[1], token.end[1]
            assert line[start - 1] in ' \t', (token.start, line)
            assert line[end] in ' \n', (token.start, line)


#: engines whose models compute with torch
VIDEO_ROOMS = ('modules/engines/diffusion/', 'modules/engines/stable_video/',
               'modules/engines/wan/')

ALLOWED = {
    'dramatiq': ('modules/jobs/fleet/', ),
    'redis': ('modules/jobs/fleet/', ),
    'prometheus_client': ('modules/jobs/meter.py', 'modules/routes/metrics.py'),
    'IPython': ('modules/notebook/', ),
    'google': ('modules/notebook/', ),
    'ipywidgets': ('modules/notebook/', ),
    'flask': ('app.py', 'modules/routes/', 'modules/web/'),
    'onnxruntime': ('modules/engines/camera/depth_network.py', ),
    'torch': VIDEO_ROOMS,
    'diffusers': VIDEO_ROOMS,
    'transformers': VIDEO_ROOMS,
    'huggingface_hub': ('modules/weights/', 'modules/engines/'),
    'configparser': ('modules/configuration/', ),
    'ngrok': ('modules/web/tunnel.py', ),
    'flask_ngrok2': ('modules/web/tunnel.py', ),
}


@pytest.mark.parametrize('library', ALLOWED)
def test_libraries_stay_in_their_rooms(library):
    for path in SOURCE:
        if any(found.split('.')[0] == library for found in imports(path)):
            assert name(path).startswith(ALLOWED[library]), path


def test_only_queues_change_jobs():
    for path in SOURCE:
        if 'modules.jobs.lifecycle' in imports(path):
            assert name(path).startswith('modules/jobs/'), path


#: a room may import from rooms of a lower number
FLOORS = [
    (r'modules/(__init__|choices|progress|i18n|errors|logs|homes|option|terminal)\.py', 0),
    (r'modules/configuration', 0),
    (r'modules/engines/(__init__|\w+/options|diffusion/allocator)\.py', 0),
    (r'modules/request/drawing\.py', 1),
    (r'modules/install', 1),
    (r'modules/weights', 1),
    # read by the launcher, before anything is installed
    (r'modules/engines/(common|models|\w+/files)\.py', 1),
    (r'modules/photos', 1),
    (r'modules/(engines|encoders)', 2),
    (r'modules/request', 3),
    (r'modules/clips', 4),
    (r'modules/jobs', 5),
    (r'modules/(web|routes|commands)', 6),
    (r'modules/notebook', 7),
    (r'app\.py', 7),
    (r'__main__\.py', 8),
    (r'docs/', 8),
]


def floor(path):
    found = [number for pattern, number in FLOORS if re.match(pattern, path)]
    assert found, f'{path} has no place in the house yet'
    return found[0]


@pytest.mark.parametrize('path', SOURCE, ids = name)
def test_imports_go_one_way(path):
    own = floor(name(path))
    for module in imports(path):
        target = ROOT / (module.replace('.', '/') + '.py')
        package = ROOT / module.replace('.', '/') / '__init__.py'
        for file in (target, package):
            if module.startswith('modules.') and file.is_file():
                assert floor(name(file)) <= own, f'{name(path)} imports {module}'


def test_nothing_but_two_handlers_catches_everything():
    found = [
        (name(path), node.lineno) for path in SOURCE for node in parsed(path)
        if isinstance(node, ast.ExceptHandler) and (
            node.type is None or getattr(node.type, 'id', '') in ('Exception', 'BaseException'))
    ]
    assert {place for place, _line in found} <= {'modules/jobs/work.py'}


def test_the_repository_names_no_machine_and_no_registry():
    forbidden = re.compile('|'.join(
        ['/' + 'work/', 'pypi' + r'\.org', 'deb' + r'ian\.org', 'npmjs' + r'\.(com|org)']))
    for path in tracked():
        if path.suffix not in ('.png', '.gif', '.webp', '.jpg', '.mp4', '.ico'):
            found = forbidden.search(path.read_text(encoding = 'utf-8'))
            assert not found, f'{name(path)}: {found[0]}'


READMES = [ROOT / 'README.md', ROOT / 'README.zh-CN.md']


def rows(readme):
    """Cells of every table row, without markup."""
    for line in readme.read_text(encoding = 'utf-8').splitlines():
        if line.startswith('|'):
            yield [cell.strip().strip('`') for cell in line.strip('|').split('|')]


@pytest.mark.parametrize('readme', READMES, ids = name)
def test_the_readme_tells_every_option_with_its_default(readme):
    listed = list(rows(readme))
    for keys in configuration.OPTIONS.values():
        for key, option in keys.items():
            default = '' if option.default in (None, ()) else str(option.default)
            assert any(row[0] == key and default in row for row in listed), (key, default)


@pytest.mark.parametrize('readme', READMES, ids = name)
def test_the_readme_tells_every_option_of_the_command_line_and_no_other(readme, capsys):
    with pytest.raises(SystemExit):
        arguments.parse(['--help'], 'en')
    shown = capsys.readouterr().out.partition('\noptions:\n')[2].partition('\nfor animate:')[0]
    known = set(re.findall(r'^ +(?:-\w, )?(--[a-z-]+)', shown, re.M))
    found = [
        re.findall(r'--[a-z][a-z-]+', row[0]) for row in rows(readme) if row[0].startswith('--')
    ]
    assert known == set(sum(found, [])) and '--port' in known


@pytest.mark.parametrize('readme', READMES, ids = name)
def test_the_readme_tells_no_option_that_is_not_there(readme):
    known = {key for keys in configuration.OPTIONS.values() for key in keys}
    # kinds of files, such as JPEG, have no small letter
    camel = {
        row[0]
        for row in rows(readme) if re.fullmatch(r'(?=.*[a-z])([A-Z][a-z]*){2,}\w*', row[0])
    }
    assert camel <= known


@pytest.mark.parametrize('readme', READMES, ids = name)
def test_the_readme_tells_every_parameter_with_its_range(readme):
    found = {row[0]: row for row in rows(readme)}
    for parameter in PARAMETERS:
        row = found[parameter.name]
        if parameter.default is not None:
            assert str(parameter.default) in row
        if parameter.maximum is not None:
            assert f'{parameter.minimum}–{parameter.maximum}' in row


def test_both_readmes_have_the_same_shape():
    shapes = [[
        re.match(r'#+|\||```', line)[0]
        for line in readme.read_text(encoding = 'utf-8').splitlines()
        if re.match(r'#+ |\||```', line)
    ] for readme in READMES]
    assert shapes[0] == shapes[1]


def test_the_readme_tells_every_status():
    from modules import errors

    def statuses(kind):
        yield kind.status
        for child in kind.__subclasses__():
            yield from statuses(child)

    found = {row[0] for row in rows(READMES[0])}
    assert {str(status) for status in statuses(errors.Refusal)} <= found


def test_the_changelog_begins_with_this_version():
    from modules import VERSION
    headings = re.findall(r'^## (\S+)', (ROOT / 'CHANGELOG.md').read_text(encoding = 'utf-8'), re.M)
    assert headings[0] == VERSION
