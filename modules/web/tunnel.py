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
from typing import TypeVar

from modules.i18n import Text, text

logger = logging.getLogger(__name__)

Result = TypeVar('Result')

#: holds the token where no option does
TOKEN_VARIABLE = 'NGROK_AUTHTOKEN'  # noqa: S105

#: seconds to open a tunnel, and to close it
MAX_OPENING_SECONDS, MAX_CLOSING_SECONDS = 30, 5

#: seconds in which the package's threads end. Where one of them ends while Python does, Python aborts: in 4 of 100 ends
#: at once, in none of 500 ends after this pause
PAUSE = 0.3

#: where the ngrok agent lists its tunnels
AGENT = 'http://127.0.0.1:4040'


class TunnelError(Exception):
    """
    The tunnel cannot be opened.

    :param words: why, and what helps
    :type words: Text
    """

    def __init__(self, words: Text):
        super().__init__(words.key)
        self.text = words


def take_token(given: str) -> str:
    """
    Return the token, and remove it from the environment of programs that are started from here.

    :param given: the command line's
    :type given: str
    :return: the token; empty where there is none
    :rtype: str
    """
    inherited = os.environ.pop(TOKEN_VARIABLE, '')
    return given or inherited


@contextmanager
def opened(port: int, token: str) -> Iterator[str]:
    """
    Open a tunnel, and close it whatever happens.

    :param port: where it leads to, on 127.0.0.1
    :type port: int
    :param token: of the ngrok account
    :type token: str
    :yield: the public address
    :ytype: str
    :raises TunnelError: when it cannot be opened
    """
    if importlib.util.find_spec('ngrok'):
        url, close = _open_by_package(port, token)
    elif importlib.util.find_spec('flask_ngrok2') and _has_agent():
        url, close = _open_by_agent(port, token)
    else:
        raise TunnelError(text('tunnel.not_installed', python = sys.executable))
    try:
        yield url
    finally:
        try:
            _call_in_time(MAX_CLOSING_SECONDS, close)
        except (ValueError, RuntimeError, OSError, concurrent.futures.TimeoutError) as error:
            logger.warning('The tunnel was left to close by itself: %s',
                           _describe_error(error, token))


def _open_by_package(port: int, token: str) -> tuple[str, Callable[[], object]]:
    """Open a tunnel with the official package; return its address and what closes it."""
    import ngrok
    if not token:
        raise TunnelError(text('tunnel.no_token'))
    try:
        listener = _call_in_time(MAX_OPENING_SECONDS,
                                 lambda: ngrok.forward(f'127.0.0.1:{port}', authtoken = token))
    except concurrent.futures.TimeoutError:
        raise TunnelError(text('tunnel.no_answer', seconds = MAX_OPENING_SECONDS)) from None
    except (ValueError, RuntimeError, OSError) as error:
        time.sleep(PAUSE)
        # ngrok's message repeats the token
        raise TunnelError(text('tunnel.failed', reason = _describe_error(error, token))) from None

    def close() -> None:
        ngrok.disconnect(listener.url())
        time.sleep(PAUSE)

    return listener.url(), close


def _open_by_agent(port: int, token: str) -> tuple[str, Callable[[], object]]:
    """Open a tunnel with flask-ngrok2, which starts the ngrok agent and ends it with the program; return the same."""
    import flask_ngrok2
    # it looks for the tunnel once, after a second; the agent often needs longer
    with contextlib.suppress(OSError, ValueError, LookupError, concurrent.futures.TimeoutError), \
            _in_environment(token), _no_output():
        _call_in_time(MAX_OPENING_SECONDS, lambda: flask_ngrok2.start_ngrok(port, None))
    ends = time.monotonic() + MAX_OPENING_SECONDS
    while not (found := _tunnel_of_agent(port)):
        if time.monotonic() > ends:
            raise TunnelError(text('tunnel.no_agent', seconds = MAX_OPENING_SECONDS, port = port))
        time.sleep(0.2)
    url, path = found
    return url, lambda: _ask_agent('DELETE', path)


def _has_agent() -> bool:
    """Tell whether flask-ngrok2 will find an agent; it asks another program where one is."""
    return all(map(shutil.which, ('ngrok', 'where' if os.name == 'nt' else 'which')))


def _tunnel_of_agent(port: int) -> tuple[str, str] | None:
    """Return the public address of the tunnel to a port, and the agent's path of it; None while there is none."""
    with contextlib.suppress(OSError, ValueError, LookupError):
        for tunnel in json.loads(_ask_agent('GET', '/api/tunnels'))['tunnels']:
            if tunnel['config']['addr'].endswith(f':{port}'):
                return tunnel['public_url'], tunnel['uri']
    return None


def _ask_agent(method: str, path: str) -> bytes:
    request = urllib.request.Request(AGENT + path, method = method)  # noqa: S310
    # no proxy is needed for this machine itself
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout = 2) as answer:
        return answer.read()


@contextmanager
def _in_environment(token: str) -> Iterator[None]:
    """Set the token for programs that are started meanwhile, and for nothing else."""
    if token:
        os.environ[TOKEN_VARIABLE] = token
    try:
        yield
    finally:
        os.environ.pop(TOKEN_VARIABLE, None)


@contextmanager
def _no_output() -> Iterator[None]:
    """Discard standard output, also of programs started meanwhile: the agent takes the whole terminal."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        with contextlib.redirect_stdout(None):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _call_in_time(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what a call returns in time; else leave it behind on a thread that ends with the program."""
    future: concurrent.futures.Future[Result] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(call())
        except (ValueError, RuntimeError, OSError, LookupError) as error:
            future.set_exception(error)

    threading.Thread(target = run, name = 'tunnel', daemon = True).start()
    return future.result(seconds)


def _describe_error(error: BaseException, token: str) -> str:
    """Describe an error on one line, without the token."""
    words = ': '.join(map(str, error.args))
    return ' '.join((words.replace(token, '…') if token else words).split())
