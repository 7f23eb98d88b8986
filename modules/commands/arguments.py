#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The command line: which sub-command, which INI, and what overrides it. Options may stand on either side of the
sub-command.

Libraries: none but the standard one.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from modules import VERSION, configuration, engines, i18n, logs
from modules.clips.provenance import NoSettings
from modules.commands import again
from modules.commands.again import Recorded
from modules.commands.usage import Parser
from modules.engines import models
from modules.request.parameters import PARAMETERS

#: option → the INI's section and key it overrides
OVERRIDES = {
    '--host': ('WebOptions', 'Host'),
    '--port': ('WebOptions', 'Port'),
    '--engine': ('ModelOptions', 'Engine'),
    '--model': ('ModelOptions', 'ModelName'),
}

#: torch refuses less
LEAST_SPLIT_SIZE = 21

COMMANDS = ('serve', 'animate', 'download', 'worker', 'doctor')


@dataclass(frozen = True)
class Arguments:
    """What was asked for."""

    #: one of :data:`COMMANDS`
    command: str
    #: the INI
    config: Path
    #: (section, key) → value, for :func:`modules.configuration.read`
    overrides: dict[tuple[str, str], str]
    logging_level: str
    progress_bar: bool
    #: for the CUDA allocator
    max_split_size_mb: int | None = None
    #: keep results only as long as the program runs
    output_temp: bool = False
    #: open a tunnel, also without a password
    ngrok: bool = False
    public: bool = False
    #: never shown, not even in a traceback
    ngrok_authtoken: str = field(default = '', repr = False)
    #: what to fetch while serving
    fetch_libraries: bool = False
    #: names of models (:data:`modules.engines.models.MODELS`)
    fetch: tuple[str, ...] = ()
    #: the model of ``download``
    model: str = models.MAIN.key
    #: photos and folders of ``animate``
    photos: tuple[Path, ...] = ()
    #: where ``animate`` writes, as it was typed, because a slash at the end means a folder; None is beside each photo
    output: str | None = None
    #: (name, value) of the parameters given to ``animate``
    fields: tuple[tuple[str, str], ...] = field(default = ())
    #: how the result was made that ``animate`` makes again; fields that are given go before its own
    again: Recorded | None = None


def parse(argv: list[str], language: str) -> Arguments:
    """
    Parse the command line; end the program with a sentence where it is bad.

    :param argv: the arguments, the program's name not among them
    :type argv: list[str]
    :param language: language of ``--help``
    :type language: str
    :return: what was asked for
    :rtype: Arguments
    """
    parser = make_parser(language)
    understood, more = parser.parse_known_args(argv)
    if more:
        parser.refuse(i18n.text('cli.too_much', words = ' '.join(more)))
    given = vars(understood)
    config = Path(given.get('config', configuration.ROOT / 'configuration.ini'))
    if 'config' in given and not config.is_file():
        parser.refuse(i18n.text('cli.no_config', path = config))
    command = given.get('command') or 'serve'
    overrides = {
        name: _from_here(given[option.strip('-')], option)
        for option, name in OVERRIDES.items() if option.strip('-') in given
    }
    photos, recorded = _photos(given, parser, command)
    if recorded and OVERRIDES['--engine'] in overrides:
        # the engine has an option of the INI's instead of a field
        fields = tuple(each for each in recorded.fields if each[0] != 'engine')
        recorded = replace(recorded, fields = fields)
    return Arguments(
        command = command,
        config = config,
        overrides = {
            **(recorded.overrides if recorded else {}),
            **overrides
        },
        logging_level = given.get('logging_level', 'warning' if command == 'animate' else 'info'),
        progress_bar = given.get('progress_bar', False),
        max_split_size_mb = given.get('max_split_size_mb'),
        output_temp = given.get('output_temp', False),
        ngrok = given.get('ngrok', False),
        public = given.get('public', False),
        ngrok_authtoken = given.get('ngrok_authtoken', ''),
        fetch_libraries = given.get('fetch_libraries', False),
        fetch = tuple(given.get('fetch', ())),
        model = given.get('wanted') or ('depth' if 'depth' in given else models.MAIN.key),
        photos = photos,
        output = given.get('output'),
        fields = tuple((p.name, given[p.name]) for p in PARAMETERS if p.name in given),
        again = recorded)


def _photos(given: dict, parser: Parser, command: str) -> tuple[tuple[Path, ...], Recorded | None]:
    """Return the photos of ``animate``, and how the result was made that ``--again`` names."""
    if command != 'animate':
        return (), None
    photos, result = tuple(given.get('photos') or ()), given.get('again')
    if not result:
        if not photos:
            parser.refuse(i18n.text('cli.photos_needed'))
        return photos, None
    try:
        recorded = again.read_result(result)
    except NoSettings as error:
        parser.refuse(error.text)
    if len(photos) > 1 or any(photo.is_dir() for photo in photos):
        parser.refuse(i18n.text('settings.one_photo'))
    photo = photos[0] if photos else again.find_photo_beside(result)
    if not photo:
        parser.refuse(i18n.text('settings.no_photo', path = result))
    return (photo, ), recorded


def _from_here(value: str, option: str) -> str:
    """Resolve a model's folder from the working directory, not from where the INI lies."""
    return str(Path(value).resolve()) if option == '--model' and Path(value).is_dir() else value


def make_parser(language: str) -> Parser:
    """
    Make the parser of the command line.

    :param language: of ``--help``
    :type language: str
    :return: the parser
    :rtype: Parser
    """
    words = i18n.words(language)['cli']
    common = _common(words, language)
    parser = Parser(
        language = language,
        prog = 'turn-live-photos',
        description = words['description'],
        epilog = words['epilog'],
        parents = [common],
        formatter_class = argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest = 'command', metavar = words['command'])
    for name in COMMANDS:
        sub = commands.add_parser(
            name,
            language = language,
            help = words[name],
            description = words[name],
            parents = [common])
        if name == 'animate':
            sub.add_argument(
                'photos', nargs = '*', type = Path, metavar = 'PHOTO', help = words['photos'])
        if name == 'download':
            sub.add_argument(
                'wanted',
                nargs = '?',
                choices = models.MODELS,
                default = None,
                metavar = 'MODEL',
                help = words['model'].format(choices = ', '.join(models.MODELS)))
    return parser


def _common(words: dict[str, str], language: str) -> Parser:
    """Options of every sub-command. Suppressed defaults keep the one side from undoing the other."""
    common = Parser(language = language, add_help = False, argument_default = argparse.SUPPRESS)
    defaults = {
        name: option.default
        for section in reversed(configuration.OPTIONS.values())
        for name, option in section.items()
    }
    common.add_argument('--version', action = 'version', version = VERSION, help = words['version'])
    common.add_argument('--config', metavar = 'FILE', help = words['config'])
    for option, (_section, key) in OVERRIDES.items():
        common.add_argument(
            option,
            metavar = option.strip('-').upper(),
            help = words[key].format(
                default = defaults[key], choices = ', '.join(('auto', *engines.TABLE))))
    for option in ('fetch_libraries', 'depth', 'progress_bar', 'output_temp', 'ngrok', 'public'):
        flag = '--' + option.replace('_', '-')
        common.add_argument(flag, action = 'store_true', help = words[option])
    _of_models(common, words)
    common.add_argument('--ngrok-authtoken', metavar = 'TOKEN', help = words['ngrok_authtoken'])
    common.add_argument(
        '--max-split-size-mb',
        type = _split_size(words),
        metavar = 'N',
        help = words['max_split_size_mb'].format(minimum = LEAST_SPLIT_SIZE))
    common.add_argument(
        '--logging-level',
        type = str.lower,
        choices = logs.LEVELS,
        metavar = 'LEVEL',
        help = words['logging_level'].format(levels = ', '.join(logs.LEVELS)))
    _of_animate(common.add_argument_group(words['of_animate']), words)
    return common


def _of_models(common: Parser, words: dict[str, str]) -> None:
    common.add_argument(
        '--fetch',
        action = 'append',
        choices = models.MODELS,
        metavar = 'MODEL',
        help = words['fetch'].format(choices = ', '.join(models.MODELS)))
    common.add_argument(
        '--fetch-model',
        dest = 'fetch',
        action = 'append_const',
        const = models.MAIN.key,
        help = words['fetch_model'])


def _split_size(words: dict[str, str]) -> Callable[[str], int]:

    def parse(value: str) -> int:
        if value.isdecimal() and len(value) < 10 and int(value) >= LEAST_SPLIT_SIZE:
            return int(value)
        sentence = words['not_a_split_size'].format(value = value, minimum = LEAST_SPLIT_SIZE)
        raise argparse.ArgumentTypeError(sentence)

    return parse


def _content_of(words: dict[str, str]) -> Callable[[str], str]:

    def read(name: str) -> str:
        try:
            return Path(name).read_text(encoding = 'utf-8-sig')
        except (OSError, ValueError) as error:
            raise argparse.ArgumentTypeError(
                words['flow_unreadable'].format(path = name)) from error

    return read


def _of_animate(group: argparse._ArgumentGroup, words: dict[str, str]) -> None:
    """Accepted by every sub-command, because they too may stand before ``animate``; no other makes use of them."""
    group.add_argument('-o', '--output', metavar = 'FILE_OR_FOLDER', help = words['output'])
    group.add_argument('--again', type = Path, metavar = 'RESULT', help = words['again'])
    for parameter in PARAMETERS:
        if f'--{parameter.name}' in OVERRIDES:
            continue
        group.add_argument(
            '--' + parameter.name.replace('_', '-'),
            dest = parameter.name,
            type = _content_of(words) if parameter.is_file else str,
            metavar = 'FILE.json'
            if parameter.is_file else '|'.join(parameter.choices) or parameter.form.upper() or 'N',
            help = words[parameter.name].format(
                default = parameter.default,
                minimum = parameter.minimum,
                maximum = parameter.maximum))
