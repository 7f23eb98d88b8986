#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A Hugging Face Space: the program runs in a container there that only Hugging Face's proxies reach, under names that the
Space gives in an environment variable. Nobody has to write them into the INI.

Libraries: none.
"""

import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import replace

from modules.configuration.options import Configuration
from modules.option import InvalidValue, list_parser, parse_host_name

logger = logging.getLogger(__name__)

#: the variable with a Space's public names, separated by commas
VARIABLE = 'SPACE_HOST'

#: the network of its proxies
PROXIES = ipaddress.ip_network('10.0.0.0/8')


def with_space_names(options: Configuration, environment: Mapping[str, str]) -> Configuration:
    """
    Adapt the options to a Space: its own names are served, and its proxies are trusted to say who a visitor is.

    :param options: the options
    :type options: Configuration
    :param environment: the environment variables
    :type environment: Mapping[str, str]
    :return: the adapted options; the same ones where this is no Space
    :rtype: Configuration
    """
    value = environment.get(VARIABLE, '')
    try:
        names = list_parser(parse_host_name)(value)
    except InvalidValue:
        logger.warning('%s holds no host name: %r', VARIABLE, value)
        return options
    if not names:
        return options
    web = replace(
        options.web,
        allowed_hosts = options.web.allowed_hosts + names,
        trusted_proxies = options.web.trusted_proxies or (PROXIES, ))
    return replace(options, web = web)
