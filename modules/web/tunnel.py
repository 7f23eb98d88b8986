#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The tunnel: a public address that ngrok leads to a port of this machine. The official package comes first;
flask-ngrok2 is used only where it does no harm, that is with an ngrok agent at hand, for it would fetch a retired one,
and without telling it the token, for it would hand that to a shell.

Libraries: ngrok, else flask-ngrok2; both optional.
"""

import concurrent.futures
import contextlib
import importlib.util
import json
import logging
import os
import shutil
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from modules.i18n import Text, text

logger = logging.getLogger(__name__)

#: holds the token where no option does
TOKEN_VARIABLE = 'NGROK_AUTHTOKEN'  # noqa: S105

#: seconds to open a tunnel, and to close it
PATIENCE, CLOSING_PATIENCE = 30, 5

#: seconds in which the package's threads come to rest. Where one of them ends while Python does, Python aborts: in 4 of
#: 100 ends at once, in none of 500 ends after a rest
REST = 0.3

#: where the ngrok agent tells of its tunnels
AGENT = 'http://127.0.0.1:4040'


class TunnelError(Exception):
    """
    There is no tunnel.

    :param words: why, and what helps
    :type words: Text
    """

    def __init__(self, words: Text):
        super().__init__(words.key)
        self.text = words


def take_token(given: str) -> str:
    """
    The token, and nothing of it left for other programs that are started from here.

    :param given: what the command line says
    :type given: str
    :return: the token; empty where there is none
    :rtype: str
    """
    inherited = os.environ.pop(TOKEN_VARIABLE, '')
    return given or inherited


@contextmanager
def opened(port: int, token: str) -> Iterator[str]:
    """
    A tunnel, closed whatever happens.

    :param port: where it leads to, on 127.0.0.1
    :type port: int
    :param token: of the ngrok account
    :type token: str
    :yield: the public address
    :ytype: str
    :raises TunnelError: when it cannot be opened
    """
    if importlib.util.find_spec('ngrok'):
        url, close = _by_package(port, token)
    elif importlib.util.find_spec('flask_ngrok2') and _has_agent():
        url, close = _by_agent(port, token)
    else:
        raise TunnelError(text('tunnel.not_installed', python = sys.executable))
    try:
        yield url
    finally:
        try:
            _in_time(CLOSING_PATIENCE, close)
        except (ValueError, RuntimeError, OSError, concurrent.futures.TimeoutError) as error:
            logger.warning('The tunnel was left to close by itself: %s', _said(error, token))


def _by_package(port: int, token: str) -> tuple[str, Callable[[], None]]:
    """By the official package: the address, and what closes it."""
    import ngrok
    if not token:
        raise TunnelError(text('tunnel.no_token'))
    try:
        listener = _in_time(PATIENCE, lambda: ngrok.forward(f'127.0.0.1:{port}', authtoken = token))
    except concurrent.futures.TimeoutError:
        raise TunnelError(text('tunnel.no_answer', seconds = PATIENCE)) from None
    except (ValueError, RuntimeError, OSError) as error:
        time.sleep(REST)
        # what ngrok says repeats the token
        raise TunnelError(text('tunnel.failed', reason = _said(error, token))) from None

    def close() -> None:
        ngrok.disconnect(listener.url())
        time.sleep(REST)

    return listener.url(), close


def _by_agent(port: int, token: str) -> tuple[str, Callable[[], None]]:
    """By flask-ngrok2, which starts the ngrok agent and ends it with the program: the same."""
    import flask_ngrok2
    # it looks for the tunnel once, after a second; the agent often needs longer
    with contextlib.suppress(OSError, ValueError, LookupError, concurrent.futures.TimeoutError), \
            _in_environment(token), _silence():
        _in_time(PATIENCE, lambda: flask_ngrok2.start_ngrok(port, None))
    ends = time.monotonic() + PATIENCE
    while not (found := _tunnel_of_agent(port)):
        if time.monotonic() > ends:
            raise TunnelError(text('tunnel.no_agent', seconds = PATIENCE, port = port))
        time.sleep(0.2)
    url, path = found
    return url, lambda: _ask_agent('DELETE', path)


def _has_agent() -> bool:
    """Whether flask-ngrok2 will find an agent; it asks another program where one is."""
    return all(map(shutil.which, ('ngrok', 'where' if os.name == 'nt' else 'which')))


def _tunnel_of_agent(port: int) -> tuple[str, str] | None:
    """The public address of the tunnel to a port, and the agent's own name for it; None while there is none."""
    with contextlib.suppress(OSError, ValueError, LookupError):
        for tunnel in json.loads(_ask_agent('GET', '/api/tunnels'))['tunnels']:
            if tunnel['config']['addr'].endswith(f':{port}'):
                return tunnel['public_url'], tunnel['uri']
    return None


def _ask_agent(method: str, path: str) -> bytes:
    request = urllib.request.Request(AGENT + path, method = method)  # noqa: S310
    # nobody's proxy stands between this machine and itself
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout = 2) as answer:
        return answer.read()


@contextmanager
def _in_environment(token: str) -> Iterator[None]:
    """For what is started meanwhile, and for nothing else."""
    if token:
        os.environ[TOKEN_VARIABLE] = token
    try:
        yield
    finally:
        os.environ.pop(TOKEN_VARIABLE, None)


@contextmanager
def _silence() -> Iterator[None]:
    """Standard output goes nowhere, also that of programs started meanwhile: the agent takes the whole terminal."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        with contextlib.redirect_stdout(None):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _in_time(seconds: float, call: Callable[[], object]) -> object:
    """What a call gives, if it does so in time; else it is left behind on a thread that ends with the program."""
    future = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(call())
        except (ValueError, RuntimeError, OSError, LookupError) as error:
            future.set_exception(error)

    threading.Thread(target = run, name = 'tunnel', daemon = True).start()
    return future.result(seconds)


def _said(error: BaseException, token: str) -> str:
    """An error on one line, the token left out."""
    words = ': '.join(map(str, error.args))
    return ' '.join((words.replace(token, '…') if token else words).split())
