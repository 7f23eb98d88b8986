#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Who may come in: the guards that every request passes, and the headers with which browsers hold others off.

Libraries: Flask.
"""

import base64
import binascii
import contextlib
import hashlib
import hmac
import ipaddress
import logging
import socket
from urllib.parse import urlsplit

from flask import Blueprint, Request, Response, current_app, request
from flask.blueprints import BlueprintSetupState

from modules import errors
from modules.configuration import WebOptions
from modules.web.access import proxies
from modules.web.access.quotas import Limits
from modules.web.services import services

blueprint = Blueprint('access', __name__)
logger = logging.getLogger(__name__)

#: the page has no script and no style in itself, and takes nothing from elsewhere
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
          "media-src 'self' blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
          "form-action 'self'; base-uri 'none'")

#: who may show the page in a frame, beside AllowedOrigins: itself, and Hugging Face, which shows its Spaces so
FRAMES = ("'self'", 'https://huggingface.co', 'https://*.hf.space')

#: names under which Google Colab shows a port of its machines; where AllowedHosts has one, it may frame the page too
COLAB_HOSTS = ('*.prod.colab.dev', '*.googleusercontent.com')
COLAB_FRAMES = ('https://colab.research.google.com', 'https://*.googleusercontent.com')

HEADERS = {
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
}

#: what pages of AllowedOrigins may do and see. Not the password that a browser keeps for this site: they send one
#: themselves
CORS = {
    'Access-Control-Expose-Headers':
    'Content-Disposition, Location, Retry-After, X-Engine, X-Job-Id, X-Note, X-Request-Id, X-Seed',
}
PREFLIGHT = {
    'Access-Control-Allow-Methods': 'GET, POST, DELETE',
    'Access-Control-Allow-Headers':
    'Authorization, Cache-Control, Content-Type, Last-Event-ID, Range',
    'Access-Control-Max-Age': '600',
}

CHALLENGE = 'Basic realm="turn-live-photos", charset="UTF-8"'

#: never asks for a password
PUBLIC_ENDPOINTS = ('health.health', )

#: whoever follows jobs asks these again and again
NOT_COUNTED = ('health.health', 'jobs.show', 'jobs.events', 'jobs.preview', 'static')


@blueprint.record
def prepare(state: BlueprintSetupState) -> None:
    """
    Begin to count.

    :param state: knows the app
    :type state: BlueprintSetupState
    """
    web = state.app.extensions['services'].configuration.web
    state.app.extensions['limits'] = Limits(web.requests_per_minute)


@blueprint.before_app_request
def guard() -> Response | None:
    """
    Refuse who may not come in.

    :return: what a browser wants to know before it lets another site's page ask; else None
    :rtype: Response | None
    """
    web, limits = services().configuration.web, current_app.extensions['limits']
    check_origin(request, web)
    if is_preflight(request) and request.origin in web.allowed_origins:
        return Response(status = 204)
    if request.endpoint not in NOT_COUNTED:
        limits.count(proxies.client(request))
    if web.password and request.endpoint not in PUBLIC_ENDPOINTS:
        check_password(request, web.password, limits)
    return None


def check_origin(asked: Request, web: WebOptions) -> None:
    """
    Refuse what comes by a name that is not served, or from another site's page.

    :param asked: the request
    :type asked: Request
    :param web: the options
    :type web: WebOptions
    :raises errors.MalformedRequest: when the address is in no alphabet
    :raises errors.HostNotServed: against DNS rebinding
    :raises errors.CrossSite: against other sites' pages that would use this machine
    """
    try:
        _readable = asked.args
    except UnicodeDecodeError as error:
        raise errors.MalformedRequest from error
    allowed = (*web.allowed_hosts, *proxies.public_hosts(asked))
    # a page that has its own name point here may tell of any other one
    for host in (asked.host, asked.environ.get(proxies.HOST_AS_SENT)):
        if host is not None and not is_served(host, allowed):
            raise errors.HostNotServed(host = host[:100])
    if asked.method not in ('GET', 'HEAD', 'OPTIONS') and is_cross_site(asked, web.allowed_origins):
        raise errors.CrossSite


@blueprint.after_app_request
def add_security_headers(response: Response) -> Response:
    """
    Headers that every answer has, and those of the page.

    :param response: any answer
    :type response: Response
    :return: the same
    :rtype: Response
    """
    origins = services().configuration.web.allowed_origins
    response.headers.update(HEADERS)
    # around a bare picture, browsers put a page of their own, which breaks a policy
    if response.mimetype == 'text/html':
        response.headers['Content-Security-Policy'] = (
            f'{POLICY}; frame-ancestors {" ".join(frames(services().configuration.web))}')
    # a picture is asked for without telling by whom
    response.headers['Cross-Origin-Resource-Policy'] = 'cross-origin' if origins else 'same-origin'
    if origins:
        response.vary.add('Origin')
    if request.origin in origins:
        response.headers['Access-Control-Allow-Origin'] = request.origin
        response.headers.update(PREFLIGHT if is_preflight(request) else CORS)
    if response.status_code == errors.PasswordNeeded.status:
        response.headers['WWW-Authenticate'] = CHALLENGE
    return response


def frames(web: WebOptions) -> tuple[str, ...]:
    """
    Who may show the page in a frame.

    :param web: the options
    :type web: WebOptions
    :return: sources, as a policy names them
    :rtype: tuple[str, ...]
    """
    in_colab = any(host in COLAB_HOSTS for host in web.allowed_hosts)
    return (*FRAMES, *(COLAB_FRAMES if in_colab else ()), *web.allowed_origins)


def heavy_work_slot() -> contextlib.AbstractContextManager[None]:
    """
    What a request is inside of while it reads a photo or makes a file.

    :return: counts it
    :rtype: contextlib.AbstractContextManager[None]
    """
    return current_app.extensions['limits'].work(proxies.client(request))


def is_preflight(asked: Request) -> bool:
    """
    Whether a browser asks on its own what another site's page may do here.

    :param asked: the request
    :type asked: Request
    :return: whether it does
    :rtype: bool
    """
    return asked.method == 'OPTIONS' and 'Access-Control-Request-Method' in asked.headers


def check_password(asked: Request, password: str, limits: Limits) -> None:
    """
    Let in who has the password.

    :param asked: the request
    :type asked: Request
    :param password: the right one
    :type password: str
    :param limits: count guesses
    :type limits: Limits
    :raises errors.PasswordNeeded: without it
    :raises errors.WrongPasswords: after too many guesses
    """
    given = given_password(asked.headers.get('Authorization', ''))
    if given is None:
        raise errors.PasswordNeeded
    client = proxies.client(asked)
    limits.check_guesses(client)
    if not is_same(given, password):
        limits.count_guess(client)
        logger.warning('A wrong password from %s', client or 'this machine')
        raise errors.PasswordNeeded


def given_password(header: str) -> bytes | None:
    """
    What stands in an ``Authorization`` header (RFC 7617).

    :param header: the header
    :type header: str
    :return: the password, of any user; None where there is none
    :rtype: bytes | None
    """
    scheme, _space, credentials = header.partition(' ')
    if scheme.lower() != 'basic':
        return None
    try:
        _user, colon, password = base64.b64decode(
            credentials.strip(), validate = True).partition(b':')
    except (binascii.Error, ValueError):
        return None
    return password if colon else None


def is_same(given: bytes, password: str) -> bool:
    """
    Whether a password is the right one, in a time that tells nothing of it.

    :param given: as it came; in UTF-8, or in Latin-1 as older clients write it
    :type given: bytes
    :param password: the right one
    :type password: str
    :return: whether it is
    :rtype: bool
    """
    spellings = [password.encode()]
    with contextlib.suppress(UnicodeEncodeError):
        spellings.append(password.encode('latin-1'))
    # digests are of one length, so that not even the password's tells
    found = hashlib.sha256(given).digest()
    return sum(hmac.compare_digest(found, hashlib.sha256(each).digest()) for each in spellings) > 0


def is_cross_site(asked: Request, allowed: tuple[str, ...] = ()) -> bool:
    """
    Whether another site's page has made a browser send this. Programs that are no browsers tell nothing of the kind.

    :param asked: the request
    :type asked: Request
    :param allowed: ``AllowedOrigins``
    :type allowed: tuple[str, ...]
    :return: whether it comes from elsewhere
    :rtype: bool
    """
    origin = asked.headers.get('Origin')
    if origin in allowed:
        return False
    site = asked.headers.get('Sec-Fetch-Site') or 'none'
    if site != 'none':
        return site != 'same-origin'
    # nobody's page, as the browser says, or an older one that says nothing: then the page's own word counts
    # compared as they are written: taking a broken one apart would fail
    return origin is not None and origin.partition('://')[2] != asked.host


def is_served(host: str, allowed: tuple[str, ...]) -> bool:
    """
    Whether a ``Host`` header is meant for this program. A name in it must be known, because a stranger's page
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
    Whether others than people at this machine can use it without a password.

    :param web: where it listens
    :type web: WebOptions
    :return: whether to warn
    :rtype: bool
    """
    if web.password or web.host == 'localhost':
        return False
    listened_on = proxies.address(web.host)
    return not (listened_on and listened_on.is_loopback)
