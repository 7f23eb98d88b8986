#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The program: arguments → configuration → logs → app → tunnel → serve, and back in reverse.

Libraries: none here.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from modules import VERSION, configuration, i18n, logs, terminal
from modules.commands import arguments
from modules.configuration import spaces
from modules.engines.diffusion import allocator
from modules.install import dependencies, installed_torch

if TYPE_CHECKING:
    from flask import Flask

    from modules.web.server import Server

logger = logging.getLogger('turn-live-photos')


def main() -> int:
    """
    Run what the command line asks for.

    :return: the exit code
    :rtype: int
    """
    # who closes a stream wants to hear nothing; the next file to be opened must not take its place
    sys.stdout = sys.stdout or open(os.devnull, 'w', encoding = 'utf-8')  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, 'w', encoding = 'utf-8')  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        # a name the terminal has no letters for is no reason to stop
        stream.reconfigure(errors = 'replace')
    for number in terminal.stop_signals():
        if number != signal.SIGINT:
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    try:
        given = arguments.parse(sys.argv[1:], i18n.of_this_machine())
        # processes that open strangers' pictures are told this list, and a token may stand in it
        del sys.argv[1:]
        return run(given)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def run(given: arguments.Arguments) -> int:
    """
    Read the configuration and start the sub-command.

    :param given: the command line
    :type given: arguments.Arguments
    :return: the exit code
    :rtype: int
    """
    language = i18n.of_this_machine()
    logs.start(given.logging_level)
    installed_torch.set_variables()
    allocator.prepare(os.environ, given.max_split_size_mb)
    path = given.config if given.config.is_file() else None
    try:
        options = configuration.read(path, given.overrides)
    except configuration.ConfigurationError as error:
        title = i18n.text('configuration.title', count = len(error.problems)).in_(language)
        problems = [f'  {problem.in_(language)}' for problem in error.problems]
        print(f'{given.config}', title, *problems, sep = '\n', file = sys.stderr)
        return 2
    if options.queue.broker and given.command in ('serve', 'worker'):
        file = configuration.ROOT / dependencies.FLEET
        if dependencies.missing(file):
            words = i18n.text('cli.no_broker_libraries', python = sys.executable, file = file)
            print(words.in_(language), file = sys.stderr)
            return 1
    return COMMANDS[given.command](given, spaces.with_space_names(options, os.environ), language)


def serve(given: arguments.Arguments, options: configuration.Configuration, language: str) -> int:
    """
    Serve until a signal.

    :param given: the command line
    :type given: arguments.Arguments
    :param options: the configuration
    :type options: configuration.Configuration
    :param language: of what is said
    :type language: str
    :return: the exit code
    :rtype: int
    """
    from app import create_app
    from modules import homes
    from modules.jobs.store import HomeInUse
    from modules.web import tunnel
    if given.ngrok and not (options.web.password or given.public):
        print(i18n.text('tunnel.no_password').in_(language), file = sys.stderr)
        return 2
    given = replace(given, ngrok_authtoken = tunnel.take_token(given.ngrok_authtoken))
    homes.sweep()
    kept = contextlib.nullcontext(options.store.outputs_home)
    with homes.temporary_home() if given.output_temp else kept as home:
        try:
            app = create_app(
                options,
                home,
                progress_bar = given.progress_bar,
                fetches_libraries = given.fetch_libraries)
        except HomeInUse:
            print(i18n.text('cli.home_in_use', home = home).in_(language), file = sys.stderr)
            return 1
        services = app.extensions['services']
        try:
            return _serve(app, given, options, language)
        finally:
            services.close()


def _serve(app: 'Flask', given: arguments.Arguments, options: configuration.Configuration,
           language: str) -> int:
    """Serve an app until a signal."""
    from modules.web.access.guards import is_open_to_all
    from modules.web.tunnel import TunnelError
    services = app.extensions['services']
    server = _server(app, given, options, language)
    if not server:
        return 1
    try:
        with _tunnel(server, given, options, language):
            url = address(options.web.host, server.port)
            logger.info(i18n.text('cli.serving', url = url, version = VERSION).in_(language))
            if is_open_to_all(options.web):
                logger.warning(i18n.text('cli.open_to_all', host = options.web.host).in_(language))
            fetch_model = services.fetcher.start if given.fetch_model else bool
            if given.fetch_libraries:
                services.libraries.start(then = fetch_model)
            else:
                fetch_model()
            server.run(on_stop = services.queue.close)
    except TunnelError as error:
        print(error.text.in_(language), file = sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _tunnel(server: 'Server', given: arguments.Arguments, options: configuration.Configuration,
            language: str) -> Iterator[None]:
    """The way in from outside, where one is wanted."""
    from modules.web import tunnel
    if not given.ngrok:
        yield
        return
    logger.info(i18n.text('tunnel.opening').in_(language))
    with tunnel.opened(server.tunnel_port, given.ngrok_authtoken) as url:
        server.tunnel_door.public_url = url
        print(i18n.text('tunnel.open', url = url).in_(language), flush = True)
        if not options.web.password:
            logger.warning(i18n.text('tunnel.open_to_all').in_(language))
        yield


def _server(app: 'Flask', given: arguments.Arguments, options: configuration.Configuration,
            language: str) -> 'Server | None':
    """The server; None, with a sentence, where it cannot listen."""
    from modules.web.access.quotas import MOST_AT_WORK
    from modules.web.server import Server
    from modules.web.services import MOST_STREAMS
    host, port = options.web.host, options.web.port
    try:
        held = options.queue.max_waiting + MOST_STREAMS + MOST_AT_WORK
        return Server(app, options.web, held, has_tunnel = given.ngrok)
    except ValueError:
        words = i18n.text('cli.no_host', host = host)
    except OSError as error:
        words = i18n.text('cli.no_port', host = host, port = port, reason = error.strerror or error)
    print(words.in_(language), file = sys.stderr)
    return None


def address(host: str, port: int) -> str:
    """
    What to type into a browser on this machine.

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


def animate(given: arguments.Arguments, options: configuration.Configuration, language: str) -> int:
    """
    Make clips without a server.

    :param given: the command line
    :type given: arguments.Arguments
    :param options: the configuration
    :type options: configuration.Configuration
    :param language: of what is said
    :type language: str
    :return: the exit code
    :rtype: int
    """
    from modules import terminal
    from modules.clips.animator import Animator
    from modules.commands import animate as batch
    from modules.engines import Engines
    from modules.photos.reader import PhotoReader
    animator = Animator(options, PhotoReader(options.web.max_pixels), Engines(options))
    try:
        return batch.animate(animator, given, language)
    except terminal.Unheard as unheard:
        terminal.fall_silent(unheard, language)
        return 1


def download(given: arguments.Arguments, options: configuration.Configuration,
             language: str) -> int:
    """
    Fetch a model.

    :param given: the command line
    :type given: arguments.Arguments
    :param options: the configuration
    :type options: configuration.Configuration
    :param language: of what is said
    :type language: str
    :return: the exit code
    :rtype: int
    """
    from modules import weights
    from modules.commands.download import run
    return run(options, language, kind = weights.DEPTH if given.depth else weights.VIDEO)


def worker(_given: arguments.Arguments, options: configuration.Configuration, language: str) -> int:
    """
    Take jobs from the broker.

    :param _given: the command line
    :type _given: arguments.Arguments
    :param options: the configuration
    :type options: configuration.Configuration
    :param language: of what is said
    :type language: str
    :return: the exit code
    :rtype: int
    """
    if not options.queue.broker:
        print(i18n.text('cli.no_broker').in_(language), file = sys.stderr)
        return 2
    from modules.jobs.fleet.worker import run
    return run(options, language)


def doctor(_given: arguments.Arguments, options: configuration.Configuration, language: str) -> int:
    """
    Tell what this machine can run.

    :param _given: the command line
    :type _given: arguments.Arguments
    :param options: the configuration
    :type options: configuration.Configuration
    :param language: of the report
    :type language: str
    :return: the exit code
    :rtype: int
    """
    from modules.commands.doctor import examine
    from modules.engines import Engines
    try:
        code = examine(options, Engines(options), language)
        sys.stdout.flush()
    except BrokenPipeError:
        # who reads through ``head`` has seen enough; Python writes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


COMMANDS = {
    'serve': serve,
    'animate': animate,
    'download': download,
    'worker': worker,
    'doctor': doctor
}


def end(code: int) -> NoReturn:
    """
    End the program. A library at work in a thread, such as a compiler, hears of no end: Python would wait for it, or be
    ended by it in a crash.

    :param code: the exit code
    :type code: int
    """
    if any(thread.name.startswith('worker ') for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    raise SystemExit(code)


if __name__ == '__main__':
    end(main())
