#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The routes: each module offers one blueprint.

Libraries: Flask.
"""

from flask import Flask


def register(app: Flask) -> None:
    """
    Open every door.

    :param app: the app
    :type app: Flask
    """
    from modules.routes import generate, health, jobs, metrics, model, openapi, pages
    from modules.web import errors
    from modules.web.access import guards
    from modules.web.access.heads import HeadDoor
    from modules.web.access.proxies import BehindProxies
    app.wsgi_app = BehindProxies(
        HeadDoor(app, app.wsgi_app), app.extensions['services'].configuration.web.trusted_proxies)
    for door in (errors, guards, pages, generate, jobs, health, metrics, openapi, model):
        app.register_blueprint(door.blueprint)
