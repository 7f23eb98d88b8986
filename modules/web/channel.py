#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Connections: waitress's, with refusals in the product's JSON, which arrive although the client is still sending.

Libraries: waitress, Werkzeug (languages).
"""

import contextlib
import functools
import json
import logging
import secrets
import socket
import time
from collections.abc import Callable

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header, parse_cookie

from modules import errors
from modules.i18n import LANGUAGES
from modules.web.access.heads import HEAD_ONLY, IS_WANTED
from modules.web.parser import Parser
from modules.web.uploads import UploadSpaceFull

logger = logging.getLogger(__name__)

#: seconds and bytes for which a client that was refused in mid-upload is still read: closing at once would reset the
#: connection and take the answer with it
LINGER_SECONDS = 5
LINGER_BYTES = 64 * 1024 * 1024


class JsonErrorTask(ErrorTask):
    """What waitress refuses before the app sees it."""

    def execute(self) -> None:
        """Answer in JSON, in the reader's language."""
        error = self.request.error
        refusal = self._refusal(error.code)
        if error.code == 503:
            self.response_headers.append(('Retry-After', str(refusal.retry_after)))
        request_id = secrets.token_hex(8)
        body = self._body(refusal, request_id)
        self.status = f'{error.code} {error.reason}'
        self.response_headers += [('Content-Type', 'application/json'),
                                  ('X-Content-Type-Options', 'nosniff'),
                                  ('X-Request-Id', request_id)]
        self.set_close_on_finish()
        self.channel.lingers = True
        self.content_length = len(body)
        self.write(body)

    def _refusal(self, status: int) -> errors.Refusal:
        if status == 413:
            limit = (self.channel.adj.max_request_body_size - 1) / 1e6
            return errors.UploadTooLarge(limit = f'{limit:.3g}')
        return {500: errors.Refusal, 503: errors.DiskFull}.get(status, errors.MalformedRequest)()

    def _body(self, refusal: errors.Refusal, request_id: str) -> bytes:
        headers = self.request.headers
        language = None
        # cookies may be in no encoding
        with contextlib.suppress(UnicodeDecodeError):
            language = parse_cookie(headers.get('COOKIE', '')).get('lang')
        if language not in LANGUAGES:
            accepted = parse_accept_header(headers.get('ACCEPT_LANGUAGE', ''), LanguageAccept)
            language = accepted.best_match(LANGUAGES, default = 'en')
        answer = {**refusal.to_json(language), 'request_id': request_id}
        return json.dumps(answer, ensure_ascii = False).encode()


class LingeringChannel(HTTPChannel):
    """A connection that, once refused, is read to its end for a while before it is closed."""

    error_task_class = JsonErrorTask
    request: Parser | None
    lingers = False
    _ends: float | None = None
    _left = LINGER_BYTES

    @property
    def parser_class(self) -> Callable[[Adjustments], Parser]:
        """Makes parsers that know when a body is not wanted."""
        return functools.partial(Parser, is_wanted = self._is_wanted)

    def _is_wanted(self, head: Parser) -> bool:
        """Ask the app about the head alone, whether it wants the body."""
        environ = {**WSGITask(self, head).get_environment(), HEAD_ONLY: True}
        for _part in self.server.application(environ, lambda *_answer: None):
            pass
        return environ.get(IS_WANTED, True)

    def received(self, data: bytes) -> bool:
        try:
            taken = super().received(data)
        except OSError as error:
            if error.errno not in errors.DISK_ERRORS:
                raise
            logger.error('An upload cannot be written: %s', error.strerror)
            self.refuse_upload()
            return False
        # what is refused in the middle of its body is read for a while
        self.lingers |= any(each.is_unwanted for each in list(self.requests))
        uploads = self.server.uploads
        uploads.note(self, self.request.body_bytes_received if self.request else 0)
        if surplus := uploads.find_surplus():
            logger.warning('An unfinished upload of %s makes room for others', surplus.addr[0])
            surplus.refuse_upload()
        return taken

    def refuse_upload(self) -> None:
        """Refuse what has not come whole, because the disk has no room for it."""
        with self.requests_lock:
            request, self.request = self.request, None
            if not request:
                return
            # what could not be written is tried once more when the file is closed
            with contextlib.suppress(OSError):
                request.close()
            request.body_rcv, request.completed = None, True
            request.error = UploadSpaceFull('')
            self.requests.append(request)
            is_first = len(self.requests) == 1
        self.server.uploads.note(self, 0)
        if is_first:
            self.server.add_task(self)

    def readable(self) -> bool:
        if self._ends is None:
            return super().readable()
        # asked in every round of the loop, so that a silent client is let go too
        if time.monotonic() > self._ends:
            self.handle_close()
        return self.connected

    def writable(self) -> bool:
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
        if self.request and not self.request.error:
            super().send_continue()

    def handle_close(self) -> None:
        """Close; a refused client is first told that nothing more comes."""
        self.server.uploads.note(self, 0)
        if self.lingers and self.connected and self._ends is None:
            self._ends = time.monotonic() + LINGER_SECONDS
            self.will_close = False
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                super().handle_close()
            return
        super().handle_close()
