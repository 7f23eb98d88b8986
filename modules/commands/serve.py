#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``serve``: app → tunnel → server, and back in reverse.

Libraries: Flask for types alone.
"""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from app import create_app
from modules import VERSION, homes
from modules.commands import worker
from modules.commands.arguments import Arguments
from modules.configuration import Configuration
from modules.engines.models import MODELS
from modules.i18n import text
from modules.jobs.database import HomeInUse
from modules.terminal import print_text
from modules.web import tunnel
from modules.web.access.hosts import is_open_to_all
from modules.web.access.quotas import MAX_HEAVY_REQUESTS
from modules.web.server import Server
from modules.web.services import MAX_STREAMS, Services
from modules.weights import find

if TYPE_CHECKING:
    from flask import Flask


def run(arguments: Arguments, options: Configuration, language: str) -> int:
    """
    Serve until a signal.

    :param arguments: the command line
    :type arguments: Arguments
    :param options: the configuration
    :type options: Configuration
    :param language: of what is printed
    :type language: str
    :return: the exit code
    :rtype: int
    """
    if problem := worker.find_missing_libraries(options):
        print_text(problem, language)
        return 1
    if arguments.ngrok and not (options.web.password or arguments.public):
        print_text(text('tunnel.no_password'), language)
        return 2
    token = tunnel.take_token(arguments.ngrok_authtoken)
    arguments = replace(arguments, ngrok_authtoken = token)
    homes.remove_dead_homes()
    kept = contextlib.nullcontext(options.store.outputs_home)
    with homes.temporary_home() if arguments.output_temp else kept as home:
        try:
            app = create_app(
                options,
                home,
                progress_bar = arguments.progress_bar,
                fetches_libraries = arguments.fetch_libraries)
        except HomeInUse:
            print_text(text('cli.home_in_use', home = home), language)
            return 1
        try:
            return _serve(app, arguments, options, language)
        finally:
            app.extensions['services'].close()


def address(host: str, port: int) -> str:
    """
    Return what to type into a browser on this machine.

    :param host: listened on: a name, an IPv4 or an IPv6 address
    :type host: str
    :param port: listened on
    :type port: int
    :return: the URL
    :rtype: str
    """
    if host in ('0.0.0.0', '::'):  # noqa: S104
        host = 'localhost'
    return f'http://[{host}]:{port}/' if ':' in host else f'http://{host}:{port}/'


def _serve(app: 'Flask', arguments: Arguments, options: Configuration, language: str) -> int:
    """Serve an app until a signal."""
    services = app.extensions['services']
    server = _make_server(app, arguments, options, language)
    if not server:
        return 1
    try:
        with _tunnel(server, arguments, options, language):
            url = address(options.web.host, server.port)
            print_text(text('cli.serving', url = url, version = VERSION), language)
            if is_open_to_all(options.web):
                print_text(text('cli.open_to_all', host = options.web.host), language)
            _fetch(services, arguments, options, language)
            server.run(on_stop = services.queue.close)
    except tunnel.TunnelError as error:
        print_text(error.text, language)
        return 1
    return 0


def _fetch(services: Services, arguments: Arguments, options: Configuration, language: str) -> None:
    """Begin to fetch what was asked for and is not here: models that work already at once, others after libraries."""
    later = []
    for key in arguments.fetch:
        model, fetcher = MODELS[key], services.fetchers[key]
        if model.announce is None:
            later.append(fetcher)
        elif (announcement := model.announce(options)) and not find(options, model):
            print_text(announcement, language)
            fetcher.start()

    def fetch_later() -> None:
        for fetcher in later:
            fetcher.start()

    if arguments.fetch_libraries:
        services.libraries.start(then = fetch_later)
    else:
        fetch_later()


@contextlib.contextmanager
def _tunnel(server: Server, arguments: Arguments, options: Configuration,
            language: str) -> Iterator[None]:
    """Keep a tunnel open, where one is wanted."""
    if not arguments.ngrok:
        yield
        return
    print_text(text('tunnel.opening'), language)
    with tunnel.opened(server.tunnel_port, arguments.ngrok_authtoken) as url:
        server.tunnel_app.public_url = url
        print_text(text('tunnel.open', url = url), language, sys.stdout)
        if not options.web.password:
            print_text(text('tunnel.open_to_all'), language)
        yield


def _make_server(app: 'Flask', arguments: Arguments, options: Configuration,
                 language: str) -> Server | None:
    """Make the server; return None, with a sentence, where it cannot listen."""
    host, port = options.web.host, options.web.port
    try:
        held = options.queue.max_waiting + MAX_STREAMS + MAX_HEAVY_REQUESTS
        return Server(app, options.web, held, has_tunnel = arguments.ngrok)
    except ValueError:
        words = text('cli.no_host', host = host)
    except OSError as error:
        words = text('cli.no_port', host = host, port = port, reason = error.strerror or error)
    print_text(words, language)
    return None
