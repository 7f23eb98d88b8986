#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The routes: each module offers one blueprint.

Libraries: Flask.
"""

from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider

from modules.configuration import ROOT
from modules.routes import clips, generate, health, jobs, metrics, model, openapi, pages
from modules.web import errors, forms, static_files
from modules.web.access import guards
from modules.web.access.heads import HeadChecker
from modules.web.access.proxies import BehindProxies
from modules.web.services import Services


class _JsonProvider(DefaultJSONProvider):
    """JSON with letters of every script as they are."""

    ensure_ascii = False


class _App(Flask):
    """Flask with the program's own JSON, forms and addresses of static files."""

    json_provider_class = _JsonProvider
    request_class = forms.Request

    def send_static_file(self, filename: str) -> Response:
        """
        Send one of the page's own files. Under an address with the version of what it holds now, it is kept for good.

        :param filename: what comes after the folder's address
        :type filename: str
        :return: the file
        :rtype: Response
        """
        version, name = static_files.split_version(filename)
        response = super().send_static_file(name)
        if version == self.extensions['static_version']:
            static_files.keep_for_good(response)
        return response


def make_app(services: Services) -> Flask:
    """
    Make an app that serves every route.

    :param services: what the routes work with
    :type services: Services
    :return: the app
    :rtype: Flask
    """
    web = services.configuration.web
    app = _App('app', root_path = str(ROOT))
    if web.max_content_length:
        # a body of exactly Werkzeug's limit is refused by it
        app.config['MAX_CONTENT_LENGTH'] = web.max_content_length + 1
    app.extensions['services'] = services
    static_files.register(app)
    wsgi_app = BehindProxies(HeadChecker(app, app.wsgi_app), web.trusted_proxies)
    app.wsgi_app = wsgi_app  # type: ignore[method-assign]  # as Flask's documentation wraps an app
    for module in (errors, guards, pages, generate, jobs, clips, health, metrics, openapi, model):
        app.register_blueprint(module.blueprint)
    return app
