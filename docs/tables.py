#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Writes what the documents repeat of the code: the tables of both READMEs, ``configuration.ini`` and the choices in the
notebook, from the tables that the program works with and the words of the locale files. Run ``python docs/tables.py``
after a change; a test fails where a file differs. It stands beside the documents because the program never runs it.

Libraries: none here.
"""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == '__main__':
    sys.path[0] = str(ROOT)

from modules import configuration, i18n  # noqa: E402
from modules.commands import arguments  # noqa: E402
from modules.configuration.ini import format_value  # noqa: E402
from modules.request.parameters import PARAMETERS, Parameter  # noqa: E402

READMES = {'README.md': 'en', 'README.zh-CN.md': 'zh'}
INI, NOTEBOOK = 'configuration.ini', 'turn_live_photos.ipynb'

#: a generated table of a README
TABLE = re.compile(r'(<!-- table: (\w+) -->\n).*?(?=<!-- end of table -->)', re.S)

#: fields that are left to the options and the format, where nobody says anything
BY_FORMAT = ('smooth', )

#: options of the INI that fields without a default of their own take
INI_DEFAULTS = {
    option.name: option.default
    for section in reversed(configuration.OPTIONS.values())
    for option in section.values()
}


def options(language: str) -> Iterator[list[str]]:
    """
    Make the table of the INI.

    :param language: of the words
    :type language: str
    :yield: the cells of one row
    :ytype: list[str]
    """
    for section, table in configuration.OPTIONS.items():
        yield ['', '', f'**{section}**']
        for key, option in table.items():
            yield [f'`{key}`', format_value(option.default), i18n.words(language)['options'][key]]


def fields(language: str) -> Iterator[list[str]]:
    """
    Make the table of the form's fields.

    :param language: of the words
    :type language: str
    :yield: the cells of one row
    :ytype: list[str]
    """
    words, names = i18n.words(language)['fields'], i18n.words(language)['tables']
    yield ['`file`', names['image'], names['required'], '', words['file']]
    for parameter in PARAMETERS:
        default = str(parameter.default)
        if parameter.default is None:
            default = names[_unsaid(parameter)]
        meaning = words[parameter.name]
        if parameter.aliases:
            aliases = ', '.join(f'`{alias}`' for alias in parameter.aliases)
            meaning += ' ' * (language == 'en') + names['also'].format(names = aliases)
        yield [
            f'`{parameter.name}`',
            _kind(parameter) or parameter.form or names['word'], default,
            _range(parameter), meaning
        ]


def statuses(language: str) -> Iterator[list[str]]:
    """
    Make the table of the HTTP statuses.

    :param language: of the words
    :type language: str
    :yield: the cells of one row
    :ytype: list[str]
    """
    yield from map(list, i18n.words(language)['statuses'].items())


def command_line(language: str) -> Iterator[list[str]]:
    """
    Make the table of the command line's options.

    :param language: of the words
    :type language: str
    :yield: the cells of one row
    :ytype: list[str]
    """
    for name, words in arguments.make_parser(language).list_options():
        meaning = i18n.words(language)['tables']['help'] if name == '--help' else words
        yield [f'`{name}`', re.sub(r'\b([A-Z]+(?:_[A-Z]+){2,})\b', r'`\1`', meaning)]


TABLES: dict[str, Callable[[str], Iterator[list[str]]]] = {
    'options': options,
    'fields': fields,
    'statuses': statuses,
    'arguments': command_line
}


def render_readme(content: str, language: str) -> str:
    """
    Replace the generated tables of a README.

    :param content: the file
    :type content: str
    :param language: of its words
    :type language: str
    :return: the file with the tables of today
    :rtype: str
    """

    def render(found: re.Match[str]) -> str:
        heads = i18n.words(language)['tables'][found[2]].split(' | ')
        rows = [heads, *TABLES[found[2]](language)]
        lines = ['|' + '|'.join(f' {cell} ' if cell else ' ' for cell in row) + '|' for row in rows]
        return '\n'.join([found[1].strip(), lines[0], '|---' * len(heads) + '|', *lines[1:], ''])

    return TABLE.sub(render, content)


def render_ini() -> str:
    """
    Write the INI with every option at its default.

    :return: the file
    :rtype: str
    """
    words = i18n.words('en')
    lines = _comment(words['tables']['ini'])
    for section, table in configuration.OPTIONS.items():
        lines += ['', f'[{section}]']
        for key, option in table.items():
            lines += _comment(_without_markup(words['options'][key]))
            lines.append(f'{key} = {format_value(option.default)}'.rstrip())
    return '\n'.join([*lines, ''])


def render_notebook(content: str) -> str:
    """
    Replace the form of the notebook's cell that makes a clip, and the formats of the one that downloads.

    :param content: the file
    :type content: str
    :return: the file with the choices of today
    :rtype: str
    """
    book = json.loads(content)
    for cell in book['cells']:
        if cell['id'] == 'clip':
            form = [line for line in cell['source'] if not re.match(r'\w+ = .*# @param', line)]
            cell['source'] = [form[0], *map(_form_line, PARAMETERS), *form[1:]]
        elif cell['id'] == 'download':
            formats = next(p.choices for p in PARAMETERS if p.name == 'format')
            choices = json.dumps(['as above', *formats])
            cell['source'] = [
                re.sub(r'@param \[.*\]', f'@param {choices}', line) for line in cell['source']
            ]
    return json.dumps(book, ensure_ascii = False, indent = 1) + '\n'


def render(name: str) -> str:
    """
    Write one file as it should be.

    :param name: one of :data:`FILES`
    :type name: str
    :return: its content
    :rtype: str
    """
    if name == INI:
        return render_ini()
    content = (ROOT / name).read_text(encoding = 'utf-8')
    return render_notebook(content) if name == NOTEBOOK else render_readme(content, READMES[name])


FILES = (*READMES, INI, NOTEBOOK)


def _unsaid(parameter: Parameter) -> str:
    """Return the key of what holds where a field without a default is not given."""
    if parameter.name in INI_DEFAULTS:
        return 'of_the_ini'
    return {'focus': 'by_depth', 'seed': 'random'}.get(parameter.name, 'nothing')


def _kind(parameter: Parameter) -> str:
    """Return the name of a number's type; nothing for a word."""
    if parameter.maximum is None:
        return ''
    return type(parameter.parse(str(parameter.maximum))).__name__


def _range(parameter: Parameter) -> str:
    if parameter.longest:
        return f'≤ {parameter.longest}'
    if parameter.maximum is None:
        return ', '.join(f'`{choice}`' for choice in parameter.choices)
    return f'{parameter.minimum}–{parameter.maximum}'


def _form_line(parameter: Parameter) -> str:
    """Write a field as the form of a notebook has it; a number without a default may stay empty."""
    default = parameter.default
    if default is None:
        default = INI_DEFAULTS.get(parameter.name) if parameter.name not in BY_FORMAT else None
    default = '' if default is None else default
    form = '{type: "string"}'
    if parameter.choices:
        form = json.dumps([''] * (parameter.name in BY_FORMAT) + list(parameter.choices))
    elif parameter.maximum is not None and parameter.minimum is not None and default != '':
        span = parameter.maximum - parameter.minimum
        step = 1 if _kind(parameter) == 'int' else 10**math.ceil(math.log10(span)) / 100
        form = f'{{type: "slider", min: {parameter.minimum}, max: {parameter.maximum}, step: {step}}}'
    return f'{parameter.name} = {default!r}  # @param {form}\n'


def _comment(words: str) -> list[str]:
    """Write words as comment lines of the INI."""
    lines = []
    for paragraph in words.split('\n'):
        line = '#'
        for word in paragraph.split(' '):
            if len(line) + len(word) >= 120:
                lines.append(line)
                line = '#'
            line += f' {word}'
        lines.append(line)
    return lines


def _without_markup(words: str) -> str:
    """Turn Markdown into the sentence of a comment."""
    plain = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', words).replace('`', '')
    # a name keeps its small letter
    first = plain[0] if words.startswith('`') else plain[0].upper()
    return f'{first}{plain[1:]}.'


def main() -> None:
    """Write all files."""
    for name in FILES:
        (ROOT / name).write_text(render(name), encoding = 'utf-8', newline = '\n')


if __name__ == '__main__':
    main()
