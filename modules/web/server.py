#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The web server: waitress, with its own refusals in the product's JSON, refusals that arrive although the client is
still sending, and an orderly end.

Libraries: waitress, Werkzeug (languages).
"""

import collections
import contextlib
import functools
import json
import logging
import re
import secrets
import select
import signal
import socket
import threading
import time
from collections.abc import Callable

import waitress
from flask import Flask
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header, parse_cookie

from modules import errors, terminal
from modules.configuration import WebOptions
from modules.i18n import LANGUAGES
from modules.web.access.heads import HEAD_ONLY, IS_WANTED
from modules.web.access.proxies import TunnelApp
from modules.web.uploads import Bodies, NoRoom

logger = logging.getLogger(__name__)

#: seconds and bytes for which a client that was refused in mid-upload is still listened to: closing at once would
#: reset the connection and take the answer with it
LINGER_SECONDS = 5
LINGER_BYTES = 64 * 1024 * 1024

#: bytes of all headers, and of one; other servers allow as much
MOST_OF_A_HEAD, MOST_OF_A_LINE = 32768, 8192

#: what no browser sends, and patterns of waitress would look at for minutes, while nobody is served: a first line
#: of another form, many blanks, headers that go on in the next line
FIRST_LINE = re.compile(rb'[^ ]+ [^ ]+(?: HTTP/[0-9]\.[0-9])?')
TRAP = re.compile(rb'[ \t]{20}|\r\n[ \t]')

#: bytes that tell of chunks rather than being a body: each costs more time than thousands of the body's own
MOST_OVERHEAD = 1024 * 1024

#: connections at once, and open files besides those of connections
MOST_CONNECTIONS, SPARE_FILES = 1000, 400

#: threads for pages, health and uploads beside those that are held
SPARE_THREADS = 12


class Parser(HTTPRequestParser):
    """
    A request as it comes in; whatever is wrong with it, it gets an answer.

    :param adj: limits, as waitress has them
    :type adj: Adjustments
    :param is_wanted: asked once its head has come, whether to take its body; None takes every one
    :type is_wanted: Callable[['Parser'], bool] | None
    """

    #: what is refused before its first line was understood has none, but waitress writes it into the log
    path = ''
    #: its head is not let in, so that its body is not wanted
    is_unwanted = False

    def __init__(self, adj: Adjustments, is_wanted: Callable[['Parser'], bool] | None = None):
        super().__init__(adj)
        self._is_wanted = is_wanted

    def received(self, data: bytes) -> int:
        """
        Take bytes.

        :param data: what came
        :type data: bytes
        :return: how many of them belong to this request
        :rtype: int
        """
        taken = super().received(data)
        if not self.completed and self._overhead() > MOST_OVERHEAD:
            self.error = BadRequest('Chunks too small')
            self.completed = True
        if self.headers_finished and not self.completed and self._is_wanted:
            ask, self._is_wanted = self._is_wanted, None
            if not ask(self):
                self._end_without_body()
        if self.completed:
            # there is no body to come, or it is not wanted; waitress would ask for it, and wait
            self.expect_continue = False
        return taken

    def _end_without_body(self) -> None:
        """The app refuses it, as it does without a body; what is sent all the same is thrown away."""
        self.headers['CONTENT_LENGTH'] = '0'
        self.headers['CONNECTION'] = 'close'
        self.is_unwanted = self.completed = True

    def _overhead(self) -> int:
        """Bytes beside those of the body itself and an eighth of it; lines without end are read anew with each byte."""
        if not self.chunked:
            return 0
        return self.body_bytes_received - len(self.body_rcv) * 9 // 8

    def parse_header(self, header_plus: bytes) -> None:
        """
        Understand the head.

        :param header_plus: all of it
        :type header_plus: bytes
        :raises ParsingError: when it is none
        """
        first, *lines = header_plus.split(b'\r\n')
        if not FIRST_LINE.fullmatch(first) or TRAP.search(header_plus):
            raise ParsingError('Invalid head')
        if max(map(len, lines), default = 0) > MOST_OF_A_LINE:
            raise ParsingError('Line too long')
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            # addresses such as http://[ and lengths of thousands of digits
            raise ParsingError('Invalid head') from error
        # where a request ends must be the same for a proxy in front
        if 'TRANSFER_ENCODING' in self.headers or self.chunked and 'CONTENT_LENGTH' in self.headers:
            raise ParsingError('Two lengths')


class JsonErrorTask(ErrorTask):
    """What waitress refuses before the app sees it."""

    def execute(self) -> None:
        """Answer in JSON, in the reader's language."""
        status = self.request.error.code
        refusal = errors.MalformedRequest()
        if status == 413:
            limit = (self.channel.adj.max_request_body_size - 1) / 1e6
            refusal = errors.UploadTooLarge(limit = f'{limit:.3g}')
        elif status == 500:
            refusal = errors.Refusal()
        elif status == 503:
            refusal = errors.DiskFull()
            self.response_headers.append(('Retry-After', str(refusal.retry_after)))
        request_id = secrets.token_hex(8)
        body = self._body(refusal, request_id)
        self.status = f'{status} {self.request.error.reason}'
        self.response_headers += [('Content-Type', 'application/json'),
                                  ('X-Content-Type-Options', 'nosniff'),
                                  ('X-Request-Id', request_id)]
        self.set_close_on_finish()
        self.channel.lingers = True
        self.content_length = len(body)
        self.write(body)

    def _body(self, refusal: errors.Refusal, request_id: str) -> bytes:
        headers = self.request.headers
        language = None
        # cookies may be in no alphabet
        with contextlib.suppress(UnicodeDecodeError):
            language = parse_cookie(headers.get('COOKIE', '')).get('lang')
        if language not in LANGUAGES:
            accepted = parse_accept_header(headers.get('ACCEPT_LANGUAGE', ''), LanguageAccept)
            language = accepted.best_match(LANGUAGES, default = 'en')
        answer = {
            'message': refusal.text.in_(language),
            'code': refusal.code,
            'field': refusal.field,
            'request_id': request_id
        }
        return json.dumps(answer, ensure_ascii = False).encode()


class LingeringChannel(HTTPChannel):
    """A connection that, once refused, is read to its end for a while before it is closed."""

    error_task_class = JsonErrorTask
    lingers = False
    _ends: float | None = None
    _left = LINGER_BYTES

    @property
    def parser_class(self) -> Callable[[Adjustments], Parser]:
        """Makes parsers that know when a body is not wanted."""
        return functools.partial(Parser, is_wanted = self._is_wanted)

    def _is_wanted(self, head: Parser) -> bool:
        """Whether the app wants a body; it answers to the head alone."""
        environ = {**WSGITask(self, head).get_environment(), HEAD_ONLY: True}
        for _part in self.server.application(environ, lambda *_answer: None):
            pass
        return environ.get(IS_WANTED, True)

    def received(self, data: bytes) -> bool:
        """
        Take bytes of requests.

        :param data: what came
        :type data: bytes
        :return: whether it was taken
        :rtype: bool
        """
        try:
            taken = super().received(data)
        except OSError as error:
            if error.errno not in errors.DISK_ERRORS:
                raise
            logger.error('What is sent cannot be kept: %s', error.strerror)
            self.give_up()
            return False
        # what is refused in the middle of its body is listened to for a while
        self.lingers |= any(each.is_unwanted for each in list(self.requests))
        bodies = self.server.bodies
        bodies.note(self, self.request.body_bytes_received if self.request else 0)
        if one := bodies.one_too_many():
            logger.warning('An unfinished upload of %s makes room for others', one.addr[0])
            one.give_up()
        return taken

    def give_up(self) -> None:
        """Refuse what has not come whole, because there is no room for it."""
        with self.requests_lock:
            request, self.request = self.request, None
            if not request:
                return
            # what could not be written is tried once more when the file is closed
            with contextlib.suppress(OSError):
                request.close()
            request.body_rcv, request.error, request.completed = None, NoRoom(''), True
            self.requests.append(request)
            is_first = len(self.requests) == 1
        self.server.bodies.note(self, 0)
        if is_first:
            self.server.add_task(self)

    def readable(self) -> bool:
        """
        Whether to look for bytes from the client.

        :return: whether to
        :rtype: bool
        """
        if self._ends is None:
            return super().readable()
        # asked in every round of the loop, so that a silent client is let go too
        if time.monotonic() > self._ends:
            self.handle_close()
        return self.connected

    def writable(self) -> bool:
        """
        Whether there is something to do for the client.

        :return: whether there is
        :rtype: bool
        """
        return self._ends is None and super().writable()

    def handle_read(self) -> None:
        """Take bytes, or throw them away."""
        if self._ends is None:
            super().handle_read()
            return
        received = self.recv(65536)
        self._left -= len(received)
        if not received or self._left < 0:
            self.handle_close()

    def send_continue(self) -> None:
        """Let a client go on that asks before it sends a body; who is refused need not send it."""
        if not self.request.error:
            super().send_continue()

    def handle_close(self) -> None:
        """Close; a refused client is first told that nothing more comes."""
        self.server.bodies.note(self, 0)
        if self.lingers and self.connected and self._ends is None:
            self._ends = time.monotonic() + LINGER_SECONDS
            self.will_close = False
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                super().handle_close()
            return
        super().handle_close()


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
        self._connections = connections or most_connections()
        waitress.create_server(
            app,
            map = self._sockets,
            listen = f'{web.host}:{web.port}' + (' 127.0.0.1:0' if has_tunnel else ''),
            threads = held + SPARE_THREADS,
            connection_limit = self._connections,
            max_request_header_size = MOST_OF_A_HEAD,
            channel_request_lookahead = 1,
            # nobody is believed, but that somebody is behind a proxy must be seen
            clear_untrusted_proxy_headers = False,
            # waitress refuses what is as large as its limit
            max_request_body_size = (web.max_content_length or 2**60) + 1,
            ident = None)
        self._listeners = [s for s in self._sockets.values() if isinstance(s, TcpWSGIServer)]
        bodies = Bodies(web.max_content_length)
        for listener in self._listeners:
            listener.channel_class, listener.bodies = LingeringChannel, bodies
        self.port = self._listeners[0].effective_port
        self.tunnel_port = self._listeners[-1].effective_port if has_tunnel else None
        self.tunnel_app = TunnelApp(app)
        if has_tunnel:
            self._listeners[-1].application = self.tunnel_app
        self._dispatcher = self._listeners[0].task_dispatcher
        self._stopped = threading.Event()

    def run(self, on_stop: Callable[[], None]) -> None:
        """
        Serve. The first signal that asks for an end ends it in order, a second one at once; a terminal that is closed
        may send several.

        :param on_stop: called when the end begins, while answers can still be sent
        :type on_stop: Callable[[], None]
        """
        received = 0

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
            elif received == 2:
                raise KeyboardInterrupt

        for number in terminal.stop_signals():
            signal.signal(number, receive)
        with contextlib.suppress(KeyboardInterrupt):
            self.loop()

    def loop(self) -> None:
        """Serve until :meth:`stop`."""
        while not self._stopped.is_set():
            # select() knows no more than 1024 connections; poll() is not there on Windows
            use_poll = hasattr(select, 'poll')
            wasyncore.loop(timeout = 0.2, use_poll = use_poll, map = self._sockets, count = 1)
            self._make_room()
        self._dispatcher.shutdown(timeout = 1)
        wasyncore.close_all(self._sockets)

    def _make_room(self) -> None:
        """Before newcomers would have to wait, let go of who asks nothing, or not to the end; first of who has most."""
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
        patience = time.monotonic() + 3
        while self._dispatcher.active_count and time.monotonic() < patience:
            time.sleep(0.02)
        self._stopped.set()


def most_connections() -> int:
    """
    How many connections there may be at once; each may have a file for what it sends. Systems allow few open files
    until they are asked.

    :return: how many
    :rtype: int
    """
    try:
        import resource
    except ImportError:
        # select() on Windows knows no more than 512
        return 400
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SPARE_FILES + 2 * MOST_CONNECTIONS
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return max(10, min(MOST_CONNECTIONS, (wanted - SPARE_FILES) // 2))
