#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Addresses under which a phone finds a clip, and their QR codes.

Libraries: Flask for types; segno, without which there is no code.
"""

import socket
from urllib.parse import urlsplit

from flask import Request

from modules.configuration import WebOptions
from modules.web.access import proxies

#: of networks made for documentation: no packet is ever sent there, but the system says by which way it would go
ELSEWHERE = ('192.0.2.1', 9)


def find_base(asked: Request, web: WebOptions) -> tuple[str, str]:
    """
    Find the address at which other devices have the page.

    :param asked: the request
    :type asked: Request
    :param web: where the program listens
    :type web: WebOptions
    :return: the address, with a slash at its end, empty where there is none; and the key of what to do or to know
    :rtype: tuple[str, str]
    """
    host = urlsplit(asked.host_url).hostname or ''
    if not _is_local(host):
        found = proxies.address(host)
        return asked.root_url, 'phone.same_network' if found and found.is_private else ''
    listened_on = proxies.address(web.host)
    if not (listened_on and listened_on.is_unspecified):
        return '', 'phone.only_here'
    own = find_own_address()
    if not own or not proxies.is_from_here(asked):
        return '', 'phone.open_by_address'
    return f'http://{own}:{asked.environ["SERVER_PORT"]}{asked.root_path}/', 'phone.same_network'


def _is_local(host: str) -> bool:
    """Tell whether a host name means the very machine that asks."""
    found = proxies.address(host)
    return bool(found and found.is_loopback) or host == 'localhost' or host.endswith('.localhost')


def find_own_address() -> str:
    """
    Find this machine's address in its network.

    :return: an IPv4 address; empty where the machine is in none
    :rtype: str
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect(ELSEWHERE)
            own = asking.getsockname()[0]
    except OSError:
        return ''
    found = proxies.address(own)
    return '' if not found or found.is_loopback or found.is_unspecified else own


def make_code(url: str) -> str | None:
    """
    Draw the QR code of an address.

    :param url: the address
    :type url: str
    :return: a picture as a ``data:`` address, black on white with its margin; None without the library
    :rtype: str | None
    """
    try:
        import segno
    except ImportError:
        return None
    return segno.make(url, micro = False).svg_data_uri(light = '#fff', border = 4, omitsize = True)
