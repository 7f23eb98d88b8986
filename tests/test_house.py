#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The measures of the house: how long files, classes and functions may be, that no imports go in a circle, and which words
are no names.

Libraries: pytest.
"""

import ast
import graphlib
import re

import pytest
from repository import ROOT, parsed, tracked

#: lines of a file, but of a plain table; methods of a class; parameters of a function; lines of its body; entries
MOST_LINES, MOST_METHODS, MOST_PARAMETERS, MOST_BODY, MOST_ENTRIES = 300, 12, 5, 40, 22

#: files that are a plain table, and as long as what they list
TABLES = {'modules/configuration/options.py', 'modules/errors.py'}

#: words that do not say what a thing is or what a function does: never the name of a function, a class or a variable
NO_NAMES = {
    'told', 'described', 'restored', 'settled', 'settle', 'sent', 'hear', 'heard', 'look', 'looked',
    'room', 'turn', 'door', 'dress', 'dressed', 'piece', 'forming', 'deed', 'anew', 'there', 'post',
    'of', 'passing'
}

SOURCE = {
    path.relative_to(ROOT).as_posix(): path
    for path in sorted(tracked('*.py')) if path.relative_to(ROOT).parts[0] not in ('tests', 'bench')
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def nodes(*kinds):
    for name, path in SOURCE.items():
        yield from ((name, node) for node in parsed(path) if isinstance(node, kinds))


def parameters(function):
    given = function.args
    return [
        each.arg for each in given.posonlyargs + given.args + given.kwonlyargs
        if each.arg not in ('self', 'cls')
    ]


def body_lines(function):
    """Lines from the first statement to the last; a docstring is none."""
    has_docstring = ast.get_docstring(function) is not None and len(function.body) > 1
    return function.body[-1].end_lineno - function.body[has_docstring].lineno + 1


def test_files_are_short():
    lengths = {
        name: path.read_text(encoding = 'utf-8').count('\n')
        for name, path in SOURCE.items()
    }
    assert {
        name: lines
        for name, lines in lengths.items() if lines > MOST_LINES and name not in TABLES
    } == {}


def test_classes_have_few_methods():
    methods = {
        (name, node.name): sum(isinstance(each, FUNCTIONS) for each in node.body)
        for name, node in nodes(ast.ClassDef)
    }
    assert {place: count for place, count in methods.items() if count > MOST_METHODS} == {}


def test_functions_take_few_parameters():
    assert [(name, node.name, len(parameters(node))) for name, node in nodes(*FUNCTIONS)
            if len(parameters(node)) > MOST_PARAMETERS] == []


def test_functions_are_short():
    assert [(name, node.name, body_lines(node)) for name, node in nodes(*FUNCTIONS)
            if body_lines(node) > MOST_BODY] == []


def test_the_hall_has_few_doors():
    entries = {name.split('/')[1] for name in SOURCE if name.startswith('modules/')}
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def module(name):
    return name[:-3].replace('/', '.').removesuffix('.__init__')


MODULES = {module(name) for name in SOURCE}


def imported(path):
    """Modules of the program that a file imports: inside functions and for type checkers too."""
    for node in parsed(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f'{node.module}.{alias.name}'
                if found := {inner, node.module} & MODULES:
                    yield inner if inner in found else node.module


def test_no_imports_go_in_a_circle():
    graph = {module(name): set(imported(path)) - {module(name)} for name, path in SOURCE.items()}
    # it says which modules the first circle found goes through
    graphlib.TopologicalSorter(graph).prepare()


def names(path):
    """Whatever a file gives a name to."""
    for node in parsed(path):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def test_names_are_plain_words():
    assert {(name, each)
            for name, path in SOURCE.items()
            for each in names(path) if each.strip('_').lower() in NO_NAMES} == set()


def test_a_function_that_does_nothing_has_a_name():
    """A type that is called in place of one, such as ``bool``, says nothing of it."""
    assert [(name, node.lineno) for name, node in nodes(*FUNCTIONS)
            for default in [*node.args.defaults, *node.args.kw_defaults]
            if isinstance(default, ast.Name) and default.id in ('bool', 'int', 'str')] == []


def test_functions_of_tests_have_plain_names():
    assert {(path.name, node.name)
            for path in tracked('tests/*.py')
            for node in parsed(path)
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and node.name.strip('_') in NO_NAMES
            } == set()


@pytest.mark.parametrize('kind', ['css', 'js'])
def test_the_pages_names_are_plain_words(kind):
    words = '|'.join(sorted(NO_NAMES - {'of', 'there'}))
    named = {
        'css':
        rf'[.#](?:[\w-]*-)?({words})\b(?=[^;}}]*{{)',
        'js':
        rf'\b(?:const|let|var|function|class)\s+(?:\w+,\s*)*({words})\b|\b({words})\s*=>|\(({words})\)\s*[={{]'
    }[kind]
    found = set()
    for path in tracked(f'static/*.{kind}'):
        text = re.sub(r'/\*.*?\*/', '', path.read_text(encoding = 'utf-8'), flags = re.S)
        found |= {(path.name, match[0]) for match in re.finditer(named, text)}
    assert found == set()


def test_the_plan_names_every_room_and_nothing_that_is_not_there():
    plan = (ROOT / 'ARCHITECTURE.md').read_text(encoding = 'utf-8')
    rooms = {name.split('/')[1] for name in SOURCE if name.count('/') > 1}
    assert {room for room in rooms if f'`modules/{room}/`' not in plan} == set()
    named = set(re.findall(r'`([\w./]+(?:\.(?:py|js|html|json|md|ini|ipynb)|/))`', plan))
    known = [path.relative_to(ROOT).as_posix() for path in tracked()]
    assert {name for name in named if not any(name in f'/{path}' for path in known)} == set()
