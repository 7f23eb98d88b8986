#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Parses requests as they come in: waitress's parser, with limits that it does not have.

Libraries: waitress.
"""

import re
from collections.abc import Callable

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest, Error

#: bytes of one header; other servers allow as much
MAX_HEADER_LINE = 8192

#: what no browser sends, and regular expressions of waitress would search for minutes, while nobody is served: a first
#: line of another form, many blanks, headers that go on in the next line
FIRST_LINE = re.compile(rb'[^ ]+ [^ ]+(?: HTTP/[0-9]\.[0-9])?')
SLOW_TO_MATCH = re.compile(rb'[ \t]{20}|\r\n[ \t]')

#: bytes of chunk headers beside the body's own: each costs more time than thousands of the body
MAX_CHUNK_OVERHEAD = 1024 * 1024


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
    completed: bool
    error: Error | None
    #: its head was refused, so that its body is not wanted
    is_unwanted = False

    def __init__(self, adj: Adjustments, is_wanted: Callable[['Parser'], bool] | None = None):
        super().__init__(adj)
        self._is_wanted = is_wanted

    def received(self, data: bytes) -> int:
        taken = super().received(data)
        if not self.completed and self._overhead() > MAX_CHUNK_OVERHEAD:
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
        """Leave the body out: the app refuses the request without it; what is sent all the same is thrown away."""
        self.headers['CONTENT_LENGTH'] = '0'
        self.headers['CONNECTION'] = 'close'
        self.is_unwanted = self.completed = True

    def _overhead(self) -> int:
        """Count bytes beside those of the body and an eighth of it; endless lines are read again with each byte."""
        if not self.chunked:
            return 0
        return self.body_bytes_received - len(self.body_rcv) * 9 // 8

    def parse_header(self, header_plus: bytes) -> None:
        first, *lines = header_plus.split(b'\r\n')
        if not FIRST_LINE.fullmatch(first) or SLOW_TO_MATCH.search(header_plus):
            raise ParsingError('Invalid head')
        if max(map(len, lines), default = 0) > MAX_HEADER_LINE:
            raise ParsingError('Line too long')
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            # addresses such as http://[ and lengths of thousands of digits
            raise ParsingError('Invalid head') from error
        # where a request ends must be the same for a proxy in front
        if 'TRANSFER_ENCODING' in self.headers or self.chunked and 'CONTENT_LENGTH' in self.headers:
            raise ParsingError('Two lengths')
