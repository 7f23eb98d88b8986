#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
One option of the INI: how it is declared, and parsers of its value: text → value, or :class:`InvalidValue` with what
would be accepted.

Libraries: none but the standard one, because the launcher reads the options before anything is installed.
"""

import contextlib
import dataclasses
import ipaddress
import re
from collections.abc import Callable
from typing import Any, Literal

from modules.i18n import Text, text, to_line

#: text → value; raises :class:`InvalidValue`
Parser = Callable[[str], Any]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

BOOLEANS = {
    **dict.fromkeys(('true', 'yes', 'on', '1'), True),
    **dict.fromkeys(('false', 'no', 'off', '0'), False)
}

#: a host name in ASCII
HOST_NAME = r'(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*'


class InvalidValue(ValueError):
    """
    A value that its option does not accept.

    :param expected: what the option accepts
    :type expected: Text
    """

    def __init__(self, expected: Text):
        super().__init__(expected.in_('en'))
        self.expected = expected


def option(key: str,
           parse: Parser,
           default: Any,
           names: Literal['model', 'files'] | None = None,
           unrecorded: str | None = None) -> Any:
    """
    Declare one option as a field of a section's dataclass.

    :param key: its name in the INI
    :type key: str
    :param parse: text → value
    :type parse: Parser
    :param default: its value where the INI says nothing
    :type default: Any
    :param names: what it names on the hub or by its folder: a model, or files of one, with commas between them
    :type names: Literal['model', 'files'] | None
    :param unrecorded: the value that a result was made with which does not record the option
    :type unrecorded: str | None
    :return: the field; all but the default are its metadata
    :rtype: Any
    """
    return dataclasses.field(
        default = default,
        metadata = {
            'key': key,
            'parse': parse,
            'names': names,
            'unrecorded': unrecorded
        })


def parse_boolean(value: str) -> bool:
    """
    Parse ``True``, ``yes``, ``on``, ``1`` and their opposites, in any case.

    :param value: the text of the INI
    :type value: str
    :return: the boolean
    :rtype: bool
    :raises InvalidValue: for any other word
    """
    if value.lower() not in BOOLEANS:
        raise InvalidValue(text('configuration.boolean'))
    return BOOLEANS[value.lower()]


def number_parser(kind: type, minimum: float, maximum: float, multiple_of: int = 1) -> Parser:
    """
    Make a parser of numbers within a range.

    :param kind: ``int`` or ``float``
    :type kind: type
    :param minimum: the least value
    :type minimum: float
    :param maximum: the greatest value
    :type maximum: float
    :param multiple_of: what a whole number must be divisible by
    :type multiple_of: int
    :return: text → number
    :rtype: Parser
    """
    key = 'multiple' if multiple_of > 1 else kind.__name__
    expected = text(
        f'configuration.{key}', minimum = minimum, maximum = maximum, multiple = multiple_of)
    form = r'[+-]?\d+' if kind is int else r'[+-]?(\d+(\.\d*)?|\.\d+)'

    def parse(value: str) -> float:
        # int() refuses thousands of digits with a message of its own
        if len(value) > 40 or not re.fullmatch(form, value, re.ASCII):
            raise InvalidValue(expected)
        parsed = kind(value)
        if not minimum <= parsed <= maximum or (kind is int and parsed % multiple_of):
            raise InvalidValue(expected)
        return parsed

    return parse


def choice_parser(*names: str) -> Parser:
    """
    Make a parser of one word out of several, in any case.

    :param names: the words
    :type names: str
    :return: text → one of ``names``
    :rtype: Parser
    """
    return pattern_parser('|'.join(map(re.escape, names)), ', '.join(names))


def count_parser(*counts: int) -> Parser:
    """
    Make a parser of one whole number out of several.

    :param counts: the numbers
    :type counts: int
    :return: text → one of ``counts``
    :rtype: Parser
    """
    parse = choice_parser(*map(str, counts))
    return lambda value: int(parse(value))


def text_parser(longest: int) -> Parser:
    """
    Make a parser of texts that people write.

    :param longest: characters at most
    :type longest: int
    :return: text → one printable line
    :rtype: Parser
    """

    def parse(value: str) -> str:
        line = to_line(value)
        if len(line) > longest:
            raise InvalidValue(text('configuration.text', longest = longest))
        return line

    return parse


def pattern_parser(form: str, choices: str) -> Parser:
    """
    Make a parser of words of one form.

    :param form: a regular expression for the whole word, in lower case
    :type form: str
    :param choices: the form as it is shown to a person
    :type choices: str
    :return: text → the word in lower case
    :rtype: Parser
    """

    def parse(value: str) -> str:
        if not re.fullmatch(form, value.lower(), re.ASCII):
            raise InvalidValue(text('configuration.choice', choices = choices))
        return value.lower()

    return parse


def list_parser(parse: Parser) -> Parser:
    """
    Make a parser of lists, separated by commas or spaces.

    :param parse: the parser of one entry
    :type parse: Parser
    :return: text → tuple
    :rtype: Parser
    """

    def parse_all(value: str) -> tuple:
        return tuple(parse(entry) for entry in re.split(r'[,\s]+', value) if entry)

    return parse_all


def parse_host_name(value: str) -> str:
    """
    Parse a host name, all below one (``*.example.com``), or all there are (``*``). A name that no ``Host`` header can
    hold, such as one with a scheme or a port, would never match, without any message.

    :param value: the text of the INI
    :type value: str
    :return: the name in lower case and ASCII, as in a request; an IPv6 address without brackets
    :rtype: str
    :raises InvalidValue: for anything else
    """
    if value == '*':
        return value
    below = '*.' if value.startswith('*.') else ''
    name = value.lower().removeprefix(below).removesuffix('.')
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(name.strip('[]')))
    try:
        name = name.encode('idna').decode()
    except UnicodeError:
        name = ''
    if not re.fullmatch(HOST_NAME, name):
        raise InvalidValue(text('configuration.host'))
    return below + name


def parse_origin(value: str) -> str:
    """
    Parse another site, as browsers name it: scheme, host and, where it is not the scheme's own one, port.

    :param value: the text of the INI
    :type value: str
    :return: the site as it stands in an ``Origin`` header
    :rtype: str
    :raises InvalidValue: for a name without a scheme, one with a path, and ``*``
    """
    found = re.fullmatch(r'(https?)://(\[[0-9a-f:.]+\]|[^:/?#@\[\]]+)(?::(\d{1,5}))?/?',
                         value.lower())
    if not found:
        raise InvalidValue(text('configuration.origin'))
    scheme, host, port = found.groups()
    try:
        name = parse_host_name(host)
    except InvalidValue:
        name = '*'
    if name.startswith('*'):
        raise InvalidValue(text('configuration.origin'))
    name = f'[{name}]' if ':' in name else name
    is_usual = port in (None, {'http': '80', 'https': '443'}[scheme])
    return f'{scheme}://{name}' if is_usual else f'{scheme}://{name}:{port}'


def parse_network(value: str) -> Network:
    """
    Parse one address, or a network of them.

    :param value: ``10.0.0.7``, ``10.0.0.0/8``, ``fd00::/8``
    :type value: str
    :return: the network
    :rtype: Network
    :raises InvalidValue: for anything else
    """
    try:
        return ipaddress.ip_network(value, strict = False)
    except ValueError:
        raise InvalidValue(text('configuration.network')) from None


def parse_broker(value: str) -> str:
    """
    Check the address of Redis.

    :param value: the text of the INI
    :type value: str
    :return: the same text
    :rtype: str
    :raises InvalidValue: for another scheme
    """
    if not value.startswith(('redis://', 'rediss://', 'unix://')):
        raise InvalidValue(text('configuration.broker'))
    return value
