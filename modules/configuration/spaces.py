#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A Hugging Face Space: the program runs in a container there that nobody reaches but Hugging Face's proxies, under names
that the Space tells in an environment variable. Nobody has to write them into the INI.

Libraries: none.
"""

import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import replace

from modules import configuration
from modules.configuration import Configuration

logger = logging.getLogger(__name__)

#: what a Space tells its public names in, parted by commas where there are several
NAMES = 'SPACE_HOST'

#: the network that its proxies send from
PROXIES = ipaddress.ip_network('10.0.0.0/8')


def settled(options: Configuration, environment: Mapping[str, str]) -> Configuration:
    """
    The options as a Space needs them: its own names are served, and visitors are told apart by what its proxies say.

    :param options: the options
    :type options: Configuration
    :param environment: where a Space tells its names
    :type environment: Mapping[str, str]
    :return: the same where this is no Space
    :rtype: Configuration
    """
    told = environment.get(NAMES, '')
    try:
        names = configuration.listed(configuration.host_name)(told)
    except configuration.Invalid:
        logger.warning('%s tells no host name: %r', NAMES, told)
        return options
    if not names:
        return options
    web = replace(
        options.web,
        allowed_hosts = options.web.allowed_hosts + names,
        trusted_proxies = options.web.trusted_proxies or (PROXIES, ))
    return replace(options, web = web)
