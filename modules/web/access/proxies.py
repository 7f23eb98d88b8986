#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The address of a client behind proxies. Only proxies that the owner has named are believed, and each only about the
one before it. Werkzeug's ProxyFix believes a number of hops whoever they are, waitress one address and no network.

``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``-Prefix`` are understood, ``Forwarded`` is not.

Libraries: Flask.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from flask import Request

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: a proxy or a tunnel on this machine names the stranger behind it in one of these
FORWARDING_HEADERS = ('Forwarded', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto',
                      'X-Real-IP', 'CF-Connecting-IP', 'Via')

#: the ``Host`` header as it came, where a proxy sends another one
HOST_AS_SENT = 'turn_live_photos.host_as_sent'

#: the public address a request came by, where it came through the tunnel of the program's own
TUNNEL = 'turn_live_photos.tunnel'

#: headers of a proxy that are taken over: header → key of the environment, and the form its value must have
TRUSTED_HEADERS = {
    'HTTP_X_FORWARDED_PROTO': ('wsgi.url_scheme', r'https?'),
    'HTTP_X_FORWARDED_HOST': ('HTTP_HOST', r'[A-Za-z0-9._-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?'),
    # no two slashes at the beginning, which would be another site
    'HTTP_X_FORWARDED_PREFIX': ('SCRIPT_NAME', r'(/[A-Za-z0-9._~-]+)+'),
}


class BehindProxies:
    """
    WSGI middleware that gives the app the client's address instead of the proxy's.

    :param app: the app
    :type app: Callable
    :param trusted: the proxies that are believed
    :type trusted: tuple[Network, ...]
    """

    def __init__(self, app: Callable, trusted: tuple[Network, ...]):
        self.app = app
        self.trusted = trusted

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        peer = address(environ.get('REMOTE_ADDR', ''))
        if TUNNEL in environ:
            # ngrok adds the visitor's address last; a host or a prefix would come from the visitor
            hop = address(environ.get('HTTP_X_FORWARDED_FOR', '').rpartition(',')[2])
            environ['REMOTE_ADDR'] = str(hop or peer)
            environ['wsgi.url_scheme'] = urlsplit(environ[TUNNEL]).scheme or 'http'
        elif peer and _is_among(peer, self.trusted):
            hops = environ.get('HTTP_X_FORWARDED_FOR', '').split(',')
            environ['REMOTE_ADDR'] = str(sender(peer, hops, self.trusted))
            environ[HOST_AS_SENT] = environ.get('HTTP_HOST', '')
            for header, (key, form) in TRUSTED_HEADERS.items():
                # of several, the last is from the proxy that is known to be one
                value = environ.get(header, '').rpartition(',')[2].strip()
                if re.fullmatch(form, value):
                    environ[key] = value.rstrip('/')
        return self.app(environ, start_response)


class TunnelApp:
    """
    The app as the tunnel reaches it, on a port of its own: requests here come from strangers, whatever headers say.

    :param app: the app
    :type app: Callable
    """

    def __init__(self, app: Callable):
        self.app = app
        #: known once the tunnel is open
        self.public_url = ''

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        environ[TUNNEL] = self.public_url
        return self.app(environ, start_response)


def public_hosts(asked: Request) -> tuple[str, ...]:
    """
    List the names that are served only to requests through the tunnel.

    :param asked: the request
    :type asked: Request
    :return: the tunnel's name; nothing where the request came another way
    :rtype: tuple[str, ...]
    """
    name = urlsplit(asked.environ.get(TUNNEL, '')).hostname
    return (name, ) if name else ()


def sender(peer: Address, hops: list[str], trusted: tuple[Network, ...]) -> Address:
    """
    Find who is behind proxies: the last of the addresses in their header that is none of them. What stands before it,
    anybody may have written.

    :param peer: who is connected
    :type peer: Address
    :param hops: ``X-Forwarded-For``, the last proxy's word last
    :type hops: list[str]
    :param trusted: the proxies that are believed
    :type trusted: tuple[Network, ...]
    :return: an address
    :rtype: Address
    """
    for hop in reversed(hops):
        before = address(hop) if _is_among(peer, trusted) else None
        if not before:
            break
        peer = before
    return peer


def address(words: str) -> Address | None:
    """
    Parse an address as headers and sockets write it.

    :param words: ``203.0.113.5``, ``203.0.113.5:4711``, ``2001:db8::1``, ``[2001:db8::1]:4711``
    :type words: str
    :return: the address; None for anything else
    :rtype: Address | None
    """
    words = words.strip()
    found = re.fullmatch(r'\[(.+)\](?::\d+)?', words) or re.fullmatch(r'([\d.]+):\d+', words)
    try:
        parsed = ipaddress.ip_address((found[1] if found else words).partition('%')[0])
    except ValueError:
        return None
    return getattr(parsed, 'ipv4_mapped', None) or parsed


def _is_among(one: Address, networks: tuple[Network, ...]) -> bool:
    """Whether an address belongs to one of several networks."""
    return any(one in network for network in networks)


def is_from_here(asked: Request) -> bool:
    """
    Tell whether a request comes from this machine, and not through a proxy or a tunnel on it.

    :param asked: the request
    :type asked: Request
    :return: whether a person at this machine sends it
    :rtype: bool
    """
    if TUNNEL in asked.environ or any(header in asked.headers for header in FORWARDING_HEADERS):
        return False
    sent_from = address(asked.remote_addr or '')
    return bool(sent_from and sent_from.is_loopback)


def client(asked: Request) -> str:
    """
    Return under which name a client is counted.

    :param asked: the request
    :type asked: Request
    :return: an address, for IPv6 the network that one subscriber has; empty for the person at this machine, who is
        not counted
    :rtype: str
    """
    if is_from_here(asked):
        return ''
    sent_from = address(asked.remote_addr or '')
    if isinstance(sent_from, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((sent_from, 64), strict = False))
    return str(sent_from)
