#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A stand-in for the ngrok package, for a program that is started with this folder on its path. The public address is a
port of this machine; what comes in there is passed on with the headers the real edge adds. What happens is written to
the file that ``STAND_IN_NGROK`` names.

Libraries: none but the standard one.
"""

import http.client
import http.server
import os
import threading
import time

GOOD_TOKEN = '2aGoodToken_7Yx'  # noqa: S105
URL = 'https://a1b2-203-0-113-7.ngrok-free.app'
HOST = 'a1b2-203-0-113-7.ngrok-free.app'

#: by this header a test says which address the edge sees; it is not passed on
VISITOR = 'Visitor'


class Listener:
    """An open tunnel."""

    def url(self):
        return URL


class Edge(http.server.BaseHTTPRequestHandler):
    """Passes on one request."""

    target = ''

    def _pass_on(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        headers = [(k, v) for k, v in self.headers.items() if k not in (VISITOR, 'Connection')]
        # a visitor's own X-Forwarded-Host stays, the two others get a word more
        if 'X-Forwarded-Host' not in self.headers:
            headers.append(('X-Forwarded-Host', self.headers['Host']))
        headers.append(('X-Forwarded-For', self.headers.get(VISITOR, '203.0.113.1')))
        headers.append(('X-Forwarded-Proto', 'https'))
        connection = http.client.HTTPConnection(self.target, timeout = 30)
        connection.putrequest(
            self.command, self.path, skip_host = True, skip_accept_encoding = True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name not in ('Transfer-Encoding', 'Connection', 'Date'):
                self.send_header(name, value)
        self.send_header('Connection', 'close')
        self.end_headers()
        while some := answer.read1(65536):
            self.wfile.write(some)
            self.wfile.flush()

    do_GET = do_POST = do_DELETE = do_OPTIONS = _pass_on  # noqa: N815

    def log_message(self, *_):
        pass


def _note(words):
    with open(os.environ['STAND_IN_NGROK'], 'a', encoding = 'utf-8') as file:  # noqa: PTH123
        file.write(f'{words}\n')


def forward(addr, authtoken):
    """Open a tunnel; refuse like the real one, which repeats the token."""
    _note(f'forward {addr}')
    if authtoken == 'silence':
        time.sleep(600)
    if authtoken != GOOD_TOKEN:
        raise ValueError(
            'failed to connect session',
            f'authentication failed: no such token.\r\nYour authtoken: {authtoken}\r\n\r\nERR_NGROK_105\r\n'
        )
    Edge.target = addr
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Edge)
    threading.Thread(target = server.serve_forever, daemon = True).start()
    _note(f'edge {server.server_port}')
    return Listener()


def disconnect(url):
    """Close it."""
    _note(f'disconnect {url}')
