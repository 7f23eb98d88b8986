#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The option table: what can be set, of which type and in which range, and the INI file read into frozen
dataclasses. Every problem is reported at once, with its line and the nearest known name.

Libraries: none but the standard one, because the launcher reads the options before anything is installed.
"""

import contextlib
import dataclasses
import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.choices import PRESETS
from modules.configuration import text_files
from modules.i18n import Text, text

#: the program's folder
ROOT = Path(__file__).resolve().parents[2]

#: sections that earlier versions spelt differently
SECTION_ALIASES = {'InstalltionOptions': 'InstallationOptions'}

#: what a boolean may be called
BOOLEANS = {
    **dict.fromkeys(('true', 'yes', 'on', '1'), True),
    **dict.fromkeys(('false', 'no', 'off', '0'), False)
}

#: a host name in ASCII
HOST_NAME = r'(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*'


class Invalid(ValueError):
    """
    A value its option cannot take.

    :param expected: what the option takes
    :type expected: Text
    """

    def __init__(self, expected: Text):
        super().__init__(expected.in_('en'))
        self.expected = expected


class ConfigurationError(Exception):
    """
    Everything that is wrong with the configuration.

    :param problems: one text for each problem
    :type problems: list[Text]
    """

    def __init__(self, problems: list[Text]):
        super().__init__('\n'.join(problem.in_('en') for problem in problems))
        self.problems = problems


def boolean(value: str) -> bool:
    """
    ``True``, ``yes``, ``on``, ``1`` and their opposites, in any case.

    :param value: what the INI says
    :type value: str
    :return: the truth
    :rtype: bool
    :raises Invalid: for any other word
    """
    if value.lower() not in BOOLEANS:
        raise Invalid(text('configuration.boolean'))
    return BOOLEANS[value.lower()]


def number(kind: type, minimum: float, maximum: float, multiple_of: int = 1) -> Callable:
    """
    A parser of numbers within a range.

    :param kind: ``int`` or ``float``
    :type kind: type
    :param minimum: the least value
    :type minimum: float
    :param maximum: the greatest value
    :type maximum: float
    :param multiple_of: what a whole number must be divisible by
    :type multiple_of: int
    :return: string → number; raises :class:`Invalid`
    :rtype: Callable
    """
    words = 'multiple' if multiple_of > 1 else kind.__name__
    expected = text(
        f'configuration.{words}', minimum = minimum, maximum = maximum, multiple = multiple_of)
    form = r'[+-]?\d+' if kind is int else r'[+-]?(\d+(\.\d*)?|\.\d+)'

    def parse(value: str) -> float:
        # int() refuses thousands of digits in words of its own
        if len(value) > 40 or not re.fullmatch(form, value, re.ASCII):
            raise Invalid(expected)
        parsed = kind(value)
        if not minimum <= parsed <= maximum or (kind is int and parsed % multiple_of):
            raise Invalid(expected)
        return parsed

    return parse


def choice(*names: str) -> Callable:
    """
    A parser of one word out of several, in any case.

    :param names: the words
    :type names: str
    :return: string → one of ``names``; raises :class:`Invalid`
    :rtype: Callable
    """

    def parse(value: str) -> str:
        if value.lower() not in names:
            raise Invalid(text('configuration.choice', choices = ', '.join(names)))
        return value.lower()

    return parse


def pattern(form: str, choices: str) -> Callable:
    """
    A parser of words of one form.

    :param form: a regular expression for the whole word, in lower case
    :type form: str
    :param choices: the form in words
    :type choices: str
    :return: string → the word in lower case; raises :class:`Invalid`
    :rtype: Callable
    """

    def parse(value: str) -> str:
        if not re.fullmatch(form, value.lower(), re.ASCII):
            raise Invalid(text('configuration.choice', choices = choices))
        return value.lower()

    return parse


def listed(parse: Callable) -> Callable:
    """
    A parser of lists, parted by commas or spaces.

    :param parse: the parser of one entry
    :type parse: Callable
    :return: string → tuple; raises :class:`Invalid`
    :rtype: Callable
    """

    def parse_all(value: str) -> tuple:
        return tuple(parse(entry) for entry in re.split(r'[,\s]+', value) if entry)

    return parse_all


def host_name(value: str) -> str:
    """
    A host name, all below one (``*.example.com``), or all there are (``*``). What could never be the name in a
    ``Host`` header, such as one with a scheme or a port, would silently never match.

    :param value: what the INI says
    :type value: str
    :return: the name in lower case, as it travels: in ASCII, an IPv6 address without brackets
    :rtype: str
    :raises Invalid: for anything else
    """
    if value == '*':
        return value
    below, name = re.fullmatch(r'(\*\.)?(.*?)\.?', value.lower()).groups()
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(name.strip('[]')))
    try:
        name = name.encode('idna').decode()
    except UnicodeError:
        name = ''
    if not re.fullmatch(HOST_NAME, name):
        raise Invalid(text('configuration.host'))
    return (below or '') + name


def origin(value: str) -> str:
    """
    Another site, as browsers name it: scheme, host and, where it is not the usual one, port.

    :param value: what the INI says
    :type value: str
    :return: the same, as it stands in an ``Origin`` header
    :rtype: str
    :raises Invalid: for a name without a scheme, one with a path, and ``*``
    """
    found = re.fullmatch(r'(https?)://(\[[0-9a-f:.]+\]|[^:/?#@\[\]]+)(?::(\d{1,5}))?/?',
                         value.lower())
    try:
        name = host_name(found[2]) if found else '*'
    except Invalid:
        name = '*'
    if name.startswith('*'):
        raise Invalid(text('configuration.origin'))
    name = f'[{name}]' if ':' in name else name
    usual = {'http': '80', 'https': '443'}[found[1]]
    return f'{found[1]}://{name}' + (f':{found[3]}' if found[3] not in (None, usual) else '')


def network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """
    One address, or a network of them.

    :param value: ``10.0.0.7``, ``10.0.0.0/8``, ``fd00::/8``
    :type value: str
    :return: the network
    :rtype: ipaddress.IPv4Network | ipaddress.IPv6Network
    :raises Invalid: for anything else
    """
    try:
        return ipaddress.ip_network(value, strict = False)
    except ValueError:
        raise Invalid(text('configuration.network')) from None


def broker(value: str) -> str:
    """
    Where Redis is.

    :param value: what the INI says
    :type value: str
    :return: the same
    :rtype: str
    :raises Invalid: for another scheme
    """
    if not value.startswith(('redis://', 'rediss://', 'unix://')):
        raise Invalid(text('configuration.broker'))
    return value


def _option(key: str, parse: Callable, default: Any) -> Any:
    """One row of the table."""
    return dataclasses.field(default = default, metadata = {'key': key, 'parse': parse})


@dataclass(frozen = True)
class LaunchOptions:
    """What the launcher does before the program runs."""

    use_venv: bool = _option('UseVenv', boolean, True)
    skip_python_checking: bool = _option('SkipPythonChecking', boolean, False)
    run_arguments: str = _option('RunArguments', str, '')


@dataclass(frozen = True)
class InstallationOptions:
    """Where libraries come from."""

    pytorch_index_url: str = _option('PyTorchIndexUrl', str, '')
    pip_mirror_url: str = _option('PipMirrorUrl', str, '')
    model_repository_url: str = _option('ModelRepositoryUrl', str, '')


@dataclass(frozen = True)
class StoreOptions:
    """Where things lie; relative to the INI's folder."""

    venv_home: Path = _option('VenvHome', Path, Path('.venv'))
    models_home: Path = _option('ModelsHome', Path, Path('models'))
    outputs_home: Path = _option('OutputsHome', Path, Path('outputs'))
    retention_hours: float = _option('RetentionHours', number(float, 0, 1_000_000), 168.0)
    max_outputs_bytes: int = _option('MaxOutputsBytes', number(int, 0, 2**60), 20_000_000_000)


@dataclass(frozen = True)
class WebOptions:
    """The server."""

    host: str = _option('Host', str, '127.0.0.1')
    port: int = _option('Port', number(int, 0, 65535), 5000)
    max_content_length: int = _option('MaxContentLength', number(int, 0, 2**40), 32 * 1024 * 1024)
    max_pixels: int = _option('MaxPixels', number(int, 1, 2**40), 100_000_000)
    password: str = _option('Password', str, '')
    allowed_hosts: tuple[str, ...] = _option('AllowedHosts', listed(host_name), ())
    allowed_origins: tuple[str, ...] = _option('AllowedOrigins', listed(origin), ())
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network,
                           ...] = _option('TrustedProxies', listed(network), ())
    requests_per_minute: int = _option('RequestsPerMinute', number(int, 0, 1_000_000), 600)


@dataclass(frozen = True)
class QueueOptions:
    """Jobs that wait."""

    broker: str = _option('Broker', broker, '')
    max_waiting: int = _option('MaxWaiting', number(int, 1, 1000), 16)
    max_waiting_per_client: int = _option('MaxWaitingPerClient', number(int, 0, 1000), 4)


@dataclass(frozen = True)
class ModelOptions:
    """The picture."""

    device: str = _option('Device',
                          pattern(r'auto|cuda(:\d+)?|mps|cpu', 'auto, cuda, cuda:N, mps, cpu'),
                          'auto')
    engine: str = _option('Engine', choice('auto', 'svd', 'camera'), 'auto')
    model_name: str = _option('ModelName', str, 'stabilityai/stable-video-diffusion-img2vid-xt')
    output_fps: int = _option('OutputFPS', number(int, 1, 60), 15)
    output_frames: int = _option('OutputFrames', number(int, 1, 200), 25)
    conditioning_fps: int = _option('ConditioningFPS', number(int, 1, 30), 7)
    inference_steps: int = _option('InferenceSteps', number(int, 1, 200), 25)
    decode_chunk_size: int | None = _option('DecodeChunkSize', number(int, 1, 200), None)
    unet: bool = _option('UNet', boolean, True)
    memory: str = _option(
        'Memory', choice('auto', 'resident', 'offload', 'chunked', 'split', 'streamed', 'single'),
        'auto')
    image_prompt_width: int = _option('ImagePromptWidth', number(int, 64, 4096, 64), 1024)
    image_prompt_height: int = _option('ImagePromptHeight', number(int, 64, 4096, 64), 576)
    preset: str = _option('Preset', choice(*PRESETS), 'quality')
    image_fit: str = _option('ImageFit', choice('stretch', 'crop', 'pad'), 'stretch')
    depth: str = _option('Depth', choice('auto', 'prior', 'depth-anything-v2-small'), 'auto')


@dataclass(frozen = True)
class OutputOptions:
    """The files."""

    gif_max_bytes: int = _option('GifMaxBytes', number(int, 0, 2**40), 0)
    key_frame: str = _option('KeyFrame', choice('start', 'middle', 'end'), 'end')
    keep_location: bool = _option('KeepLocation', boolean, False)


@dataclass(frozen = True)
class Configuration:
    """All options; attribute names are those of the INI's sections."""

    launch: LaunchOptions = LaunchOptions()
    installation: InstallationOptions = InstallationOptions()
    store: StoreOptions = StoreOptions()
    web: WebOptions = WebOptions()
    queue: QueueOptions = QueueOptions()
    model: ModelOptions = ModelOptions()
    output: OutputOptions = OutputOptions()


#: section name → attribute of :class:`Configuration`
SECTIONS = {
    f'{field.name.capitalize()}Options': field
    for field in dataclasses.fields(Configuration)
}


def options() -> dict[str, dict[str, dataclasses.Field]]:
    """
    The option table.

    :return: section → key → the dataclass field, whose metadata holds ``key`` and ``parse``
    :rtype: dict[str, dict[str, dataclasses.Field]]
    """
    return {
        section: {
            option.metadata['key']: option
            for option in dataclasses.fields(field.type)
        }
        for section, field in SECTIONS.items()
    }


#: a problem and the line it stands on; 0 for the command line
_Problem = tuple[int, Text]

#: the line of a problem that the file has as a whole
_WHOLE_FILE = -1


@dataclass(frozen = True)
class _Entry:
    """A value as it was written, and on which line; 0 for the command line."""

    section: str
    key: str
    value: str
    line: int


def read(path: Path | None = None,
         overrides: Mapping[tuple[str, str], str] | None = None) -> Configuration:
    """
    Read an INI file.

    :param path: the file, or None for defaults alone
    :type path: Path | None
    :param overrides: (section, key) → value as the command line gives it; paths among them are absolute
    :type overrides: Mapping[tuple[str, str], str] | None
    :return: the options; every path is absolute: relative ones start at the INI's folder, defaults at the program's
    :rtype: Configuration
    :raises ConfigurationError: with every problem found, in the order of the file
    """
    problems: list[_Problem] = []
    entries = _entries(path, problems) if path else []
    entries += [_Entry(*name, value, 0) for name, value in (overrides or {}).items()]
    values = _parsed(entries, problems)
    if problems:
        raise ConfigurationError(
            [_placed(*problem) for problem in sorted(problems, key = _line_of)])
    folder = path.resolve().parent if path else ROOT
    return Configuration(
        **{
            field.name: _section(field.type, values.get(name, {}), folder)
            for name, field in SECTIONS.items()
        })


def written(configuration: Configuration) -> str:
    """
    Options as an INI file, for another program that is to have the same.

    :param configuration: the options
    :type configuration: Configuration
    :return: what :func:`read` makes the same of, wherever the file lies
    :rtype: str
    """
    lines = []
    for section, table in options().items():
        values = getattr(configuration, SECTIONS[section].name)
        lines.append(f'[{section}]')
        for key, option in table.items():
            value = getattr(values, option.name)
            words = ' '.join(map(str, value)) if isinstance(value, tuple) else value
            lines.append(f'{key} = {"" if words is None else words}')
    return '\n'.join([*lines, ''])


def _entries(path: Path, problems: list[_Problem]) -> list[_Entry]:
    """What the file says, in its order; what cannot be understood goes to ``problems``."""
    try:
        content = text_files.decode(path.read_bytes())
    except OSError as error:
        problems.append(
            (_WHOLE_FILE, text('configuration.unreadable', path = path, reason = error.strerror)))
        return []
    except text_files.NotText:
        problems.append((_WHOLE_FILE, text('configuration.not_text', path = path)))
        return []
    entries, section, first = [], None, {}
    for line, words in enumerate(re.split(r'\r\n?|\n', content), 1):
        entry = _entry(words.strip(), section, line, problems)
        if isinstance(entry, str):
            section = entry
        elif entry:
            before = first.setdefault((entry.section, entry.key.lower()), line)
            if before != line:
                problems.append(
                    (line, text('configuration.twice', name = entry.key, first = before)))
            entries.append(entry)
    return entries


def _entry(words: str, section: str | None, line: int,
           problems: list[_Problem]) -> _Entry | str | None:
    """One line: a setting, the section that begins here, or nothing to be kept."""
    if not words or words.startswith(('#', ';')):
        return None
    if header := re.fullmatch(r'\[([^]]*)\]', words):
        name = SECTION_ALIASES.get(header[1].strip(), header[1].strip())
        if name not in SECTIONS:
            problems.append((line, unknown('configuration.unknown_section', header[1], SECTIONS)))
        return name
    setting = re.fullmatch(r'([^=:]+?)\s*[=:]\s*(.*)', words)
    if not setting:
        problems.append((line, text('configuration.not_a_setting', line = words)))
    elif section is None:
        problems.append((line, text('configuration.no_section', line = words)))
    elif section in SECTIONS:
        return _Entry(section, setting[1], setting[2], line)
    return None


def _parsed(entries: list[_Entry], problems: list[_Problem]) -> dict[str, dict[str, Any]]:
    """Section → dataclass attribute → value; what does not fit goes to ``problems``."""
    values: dict[str, dict[str, Any]] = {}
    for entry in entries:
        table = options()[entry.section]
        option = {key.lower(): option for key, option in table.items()}.get(entry.key.lower())
        if option is None:
            problems.append((entry.line, unknown('configuration.unknown_key', entry.key, table)))
        if option is None or not entry.value.strip():
            continue
        try:
            value = option.metadata['parse'](entry.value.strip())
        except Invalid as error:
            words = {'name': entry.key, 'value': entry.value, 'expected': error.expected}
            problems.append((entry.line, Text('configuration.invalid', words)))
            continue
        values.setdefault(entry.section, {})[option.name] = value
    return values


def _section(kind: type, values: dict[str, Any], folder: Path) -> Any:
    """One section's dataclass; paths start at the INI's folder, defaults at the program's."""
    made = kind(**values)
    paths = {
        field.name:
        (folder if field.name in values else ROOT) / getattr(made, field.name).expanduser()
        for field in dataclasses.fields(kind) if isinstance(field.default, Path)
    }
    # a model is named by its place on the hub or by a folder, and only looking tells which
    if isinstance(made, ModelOptions) and (folder / made.model_name).is_dir():
        paths['model_name'] = str(folder / made.model_name)
    return dataclasses.replace(made, **paths)


def unknown(key: str, name: str, known: Iterable[str], **more: object) -> Text:
    """
    A name nobody knows, and the nearest one somebody knows.

    :param key: of the words, which have room for ``name`` and ``hint``
    :type key: str
    :param name: as it was written
    :type name: str
    :param known: the names there are
    :type known: Iterable[str]
    :param more: what else the words have room for
    :type more: object
    :return: the words
    :rtype: Text
    """
    lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), lower, n = 1, cutoff = 0.4)
    hint = text('configuration.did_you_mean', name = lower[near[0]]) if near else ''
    return text(key, name = name, hint = hint, **more)


def _line_of(problem: _Problem) -> int:
    return problem[0]


def _placed(line: int, problem: Text) -> Text:
    if line == _WHOLE_FILE:
        return problem
    where = text('configuration.line', line = line) if line else text('configuration.command_line')
    return text('configuration.problem', where = where, problem = problem)
