#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Checks that every request passes, and security headers of every answer.

Libraries: Flask.
"""

import contextlib

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState

from modules import errors
from modules.configuration import WebOptions
from modules.web.access import hosts, passwords, proxies
from modules.web.access.quotas import Limits
from modules.web.services import services

blueprint = Blueprint('access', __name__)

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

#: asked again and again by whoever follows a job
NOT_COUNTED = ('health.health', 'jobs.show', 'jobs.events', 'jobs.preview', 'static')


@blueprint.record
def prepare(state: BlueprintSetupState) -> None:
    """
    Start to count requests.

    :param state: knows the app
    :type state: BlueprintSetupState
    """
    web = state.app.extensions['services'].configuration.web
    state.app.extensions['limits'] = Limits(web.requests_per_minute)


@blueprint.before_app_request
def guard() -> Response | None:
    """
    Refuse a request that is not allowed.

    :return: the answer to a browser's preflight request; else None
    :rtype: Response | None
    """
    web, limits = services().configuration.web, current_app.extensions['limits']
    hosts.check_origin(request, web)
    if hosts.is_preflight(request) and request.origin in web.allowed_origins:
        return Response(status = 204)
    if request.endpoint not in NOT_COUNTED:
        limits.count(proxies.client(request))
    if web.password and request.endpoint not in PUBLIC_ENDPOINTS:
        passwords.check_password(request, web.password, limits)
    return None


@blueprint.after_app_request
def add_security_headers(response: Response) -> Response:
    """
    Add the headers that every answer has, and those of the page.

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
    # requests for pictures have no Origin
    response.headers['Cross-Origin-Resource-Policy'] = 'cross-origin' if origins else 'same-origin'
    if origins:
        response.vary.add('Origin')
    if request.origin in origins:
        response.headers['Access-Control-Allow-Origin'] = request.origin
        response.headers.update(PREFLIGHT if hosts.is_preflight(request) else CORS)
    if response.status_code == errors.PasswordNeeded.status:
        response.headers['WWW-Authenticate'] = CHALLENGE
    return response


def frames(web: WebOptions) -> tuple[str, ...]:
    """
    List who may show the page in a frame.

    :param web: the options
    :type web: WebOptions
    :return: sources, as a policy names them
    :rtype: tuple[str, ...]
    """
    in_colab = any(host in COLAB_HOSTS for host in web.allowed_hosts)
    return (*FRAMES, *(COLAB_FRAMES if in_colab else ()), *web.allowed_origins)


def heavy_work_slot() -> contextlib.AbstractContextManager[None]:
    """
    Take a place among the requests that read a photo or make a file; wait for it where one client has several.

    :return: gives the place back at its end
    :rtype: contextlib.AbstractContextManager[None]
    """
    return current_app.extensions['limits'].heavy_work_slot(proxies.client(request))
