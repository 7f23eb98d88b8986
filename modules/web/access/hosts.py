#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Which names are served, and which other sites' pages: against DNS rebinding and forms that another site sends.

Libraries: Flask.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

from flask import Request

from modules import errors
from modules.configuration import WebOptions
from modules.web.access import proxies


def check_origin(asked: Request, web: WebOptions) -> None:
    """
    Refuse a request for a name that is not served, or from another site's page.

    :param asked: the request
    :type asked: Request
    :param web: the options
    :type web: WebOptions
    :raises errors.MalformedRequest: when the address is in no encoding
    :raises errors.HostNotServed: against DNS rebinding
    :raises errors.CrossSite: against other sites' pages that would use this machine
    """
    try:
        _readable = asked.args
    except UnicodeDecodeError as error:
        raise errors.MalformedRequest from error
    allowed = (*web.allowed_hosts, *proxies.public_hosts(asked))
    # a page whose own name points here may claim any other one to a proxy
    for host in (asked.host, asked.environ.get(proxies.HOST_AS_SENT)):
        if host is not None and not is_served(host, allowed):
            raise errors.HostNotServed(host = host[:100])
    if asked.method not in ('GET', 'HEAD', 'OPTIONS') and _is_cross_site(
            asked, web.allowed_origins):
        raise errors.CrossSite


def _is_cross_site(asked: Request, allowed: tuple[str, ...] = ()) -> bool:
    """Whether another site's page has made a browser send this. Programs that are no browsers say nothing of it."""
    origin = asked.headers.get('Origin')
    if origin in allowed:
        return False
    site = asked.headers.get('Sec-Fetch-Site') or 'none'
    if site != 'none':
        return site != 'same-origin'
    # no page, or a browser that sends no Sec-Fetch-Site: then Origin counts, compared as it is written, because a
    # broken one cannot be parsed
    return origin is not None and origin.partition('://')[2] != asked.host


def is_preflight(asked: Request) -> bool:
    """
    Tell whether a browser asks by itself what another site's page may do here (CORS preflight).

    :param asked: the request
    :type asked: Request
    :return: whether it does
    :rtype: bool
    """
    return asked.method == 'OPTIONS' and 'Access-Control-Request-Method' in asked.headers


def is_served(host: str, allowed: tuple[str, ...]) -> bool:
    """
    Tell whether a ``Host`` header is meant for this program. A name in it must be known, because a stranger's page
    can make a name of its own point here; a bare address cannot be made to point anywhere else.

    :param host: the header, with or without a port
    :type host: str
    :param allowed: ``AllowedHosts``; ``*`` allows all, ``*.example.com`` all below it
    :type allowed: tuple[str, ...]
    :return: whether to answer
    :rtype: bool
    """
    try:
        name = (urlsplit(f'//{host}').hostname or '').rstrip('.')
    except ValueError:
        return False
    this_machine = socket.gethostname().lower()
    if '*' in allowed or name in ('localhost', this_machine, f'{this_machine}.local', *allowed):
        return True
    if any(name.endswith(each[1:]) for each in allowed if each.startswith('*.')):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.endswith('.localhost')
    return True


def is_open_to_all(web: WebOptions) -> bool:
    """
    Tell whether others than people at this machine can use the program without a password.

    :param web: where it listens
    :type web: WebOptions
    :return: whether to warn
    :rtype: bool
    """
    if web.password or web.host == 'localhost':
        return False
    listened_on = proxies.address(web.host)
    return not (listened_on and listened_on.is_loopback)
