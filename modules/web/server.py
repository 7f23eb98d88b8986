#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The web server: waitress, with connections of our own kind and an orderly end.

Libraries: Flask for types, waitress.
"""

import collections
import contextlib
import select
import signal
import threading
import time
from collections.abc import Callable

import waitress
from flask import Flask
from waitress import wasyncore
from waitress.server import TcpWSGIServer

from modules import terminal
from modules.configuration import WebOptions
from modules.web.access.proxies import TunnelApp
from modules.web.channel import LingeringChannel
from modules.web.uploads import Uploads

#: bytes of all headers of a request; other servers allow as much
MAX_HEAD = 32768

#: connections at once, and open files besides those of connections
MAX_CONNECTIONS, SPARE_FILES = 1000, 400

#: threads for pages, health and uploads beside those that are held
SPARE_THREADS = 12


class Server:
    """
    Serves an app until a signal or Ctrl-C.

    :param app: the app
    :type app: Flask
    :param web: host, port and limits
    :type web: WebOptions
    :param held: requests that may hold a thread for long, because they wait for a clip, follow one or read a photo
    :type held: int
    :param has_tunnel: whether a tunnel needs a port of its own, which is this machine's alone
    :type has_tunnel: bool
    :param connections: at once, at the most; None for as many as the system has files for
    :type connections: int | None
    :raises OSError: when the port cannot be had
    """

    def __init__(self,
                 app: Flask,
                 web: WebOptions,
                 held: int,
                 *,
                 has_tunnel: bool = False,
                 connections: int | None = None):
        self._sockets: dict = {}
        self._connections = connections or max_connections()
        waitress.create_server(
            app,
            map = self._sockets,
            listen = f'{web.host}:{web.port}' + (' 127.0.0.1:0' if has_tunnel else ''),
            threads = held + SPARE_THREADS,
            connection_limit = self._connections,
            max_request_header_size = MAX_HEAD,
            channel_request_lookahead = 1,
            # they are not trusted, but show that somebody is behind a proxy
            clear_untrusted_proxy_headers = False,
            # waitress refuses what is as large as its limit
            max_request_body_size = (web.max_content_length or 2**60) + 1,
            ident = None)
        self._listeners = [s for s in self._sockets.values() if isinstance(s, TcpWSGIServer)]
        uploads = Uploads(web.max_content_length)
        for listener in self._listeners:
            listener.channel_class, listener.uploads = LingeringChannel, uploads
        self.port = self._listeners[0].effective_port
        #: the tunnel's own; the same as ``port`` without one
        self.tunnel_port: int = self._listeners[-1].effective_port
        self.tunnel_app = TunnelApp(app)
        if has_tunnel:
            self._listeners[-1].application = self.tunnel_app
        self._dispatcher = self._listeners[0].task_dispatcher
        self._stopped = threading.Event()
        #: who wakes the loop has a file of it that is still open
        self._closing = threading.Lock()

    def run(self, on_stop: Callable[[], None]) -> None:
        """
        Serve. The first signal that asks for an end ends it in order, a second one at once; a terminal that is closed
        may send several.

        :param on_stop: called when the end begins, while answers can still be sent
        :type on_stop: Callable[[], None]
        """
        received, is_serving = 0, True

        def end() -> None:
            on_stop()
            self.stop()

        def receive(number: int, _frame: object) -> None:
            nonlocal received
            if received and number == terminal.HANG_UP:
                return
            received += 1
            if received == 1:
                threading.Thread(target = end, daemon = True).start()
            elif received == 2 and is_serving:
                raise KeyboardInterrupt

        for number in terminal.stop_signals():
            signal.signal(number, receive)
        with contextlib.suppress(KeyboardInterrupt):
            self.loop()
            # from here on a signal would only interrupt what tidies up
            is_serving = False

    def loop(self) -> None:
        """Serve until :meth:`stop`."""
        while not self._stopped.is_set():
            # select() knows no more than 1024 connections; poll() is not there on Windows
            use_poll = hasattr(select, 'poll')
            wasyncore.loop(timeout = 0.2, use_poll = use_poll, map = self._sockets, count = 1)
            self._close_idle()
        self._dispatcher.shutdown(timeout = 1)
        with self._closing:
            wasyncore.close_all(self._sockets)

    def _close_idle(self) -> None:
        """Close connections without a whole request before newcomers have to wait; first those of who has most."""
        surplus = (
            sum(len(each.active_channels)
                for each in self._listeners) - self._connections * 9 // 10)
        if surplus <= 0:
            return
        channels = [each for one in self._listeners for each in one.active_channels.values()]
        held = collections.Counter(each.addr[0] for each in channels)
        idle = [each for each in channels if not each.requests]
        idle.sort(key = lambda each: (-held[each.addr[0]], each.last_activity))
        for each in idle[:surplus]:
            each.handle_close()

    def stop(self) -> None:
        """Let :meth:`loop` end, as soon as requests that are being answered are, or in three seconds."""
        ends = time.monotonic() + 3
        while self._dispatcher.active_count and time.monotonic() < ends:
            time.sleep(0.02)
        with self._closing:
            if not self._stopped.is_set():
                # it need not wait until there is something to read
                self._listeners[0].trigger.pull_trigger(self._stopped.set)


def max_connections() -> int:
    """
    Find how many connections there may be at once; each may have a file for what it sends. Systems allow few open
    files until they are asked for more.

    :return: how many
    :rtype: int
    """
    try:
        import resource
    except ImportError:
        # select() on Windows knows no more than 512
        return 400
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SPARE_FILES + 2 * MAX_CONNECTIONS
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return max(10, min(MAX_CONNECTIONS, (wanted - SPARE_FILES) // 2))
