#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Decides by the head of a request whether its body is wanted, before anything of the body is asked for or kept. The
refusal itself is answered by the guards, which see the request afterwards, without the body.

Libraries: Flask.
"""

from collections.abc import Callable, Iterable

from flask import Flask, Request, current_app, request

from modules import errors
from modules.web.access import guards, hosts, passwords, proxies
from modules.web.services import services

#: in an environment: only its head has come, and the question is whether the rest is wanted
HEAD_ONLY = 'turn_live_photos.head_only'
#: the answer to that
IS_WANTED = 'turn_live_photos.is_wanted'


class HeadChecker:
    """
    WSGI middleware that answers about heads as well as requests.

    :param app: knows the services
    :type app: Flask
    :param inner: what serves whole requests
    :type inner: Callable
    """

    def __init__(self, app: Flask, inner: Callable):
        self.app = app
        self.inner = inner

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        """
        Serve a request, or tell whether its body is wanted.

        :param environ: as WSGI has it
        :type environ: dict
        :param start_response: as WSGI has it
        :type start_response: Callable
        :return: what the app answers; nothing to a head
        :rtype: Iterable[bytes]
        """
        if HEAD_ONLY not in environ:
            return self.inner(environ, start_response)
        with self.app.request_context(environ):
            environ[IS_WANTED] = is_wanted(request)
        return []


def is_wanted(asked: Request) -> bool:
    """
    Tell whether the guards will accept a request, as far as its head shows.

    :param asked: the request, without its body
    :type asked: Request
    :return: whether its body is worth having
    :rtype: bool
    """
    if asked.method != 'POST':
        # no other method has a body that means anything, and /health is open to everybody
        return False
    web, limits = services().configuration.web, current_app.extensions['limits']
    try:
        hosts.check_origin(asked, web)
        if web.password and asked.endpoint not in guards.PUBLIC_ENDPOINTS:
            limits.check_guesses(proxies.client(asked))
            given = passwords.given_password(asked.headers.get('Authorization', ''))
            if given is None or not passwords.is_same(given, web.password):
                return False
    except errors.Refusal:
        return False
    return asked.routing_exception is None
