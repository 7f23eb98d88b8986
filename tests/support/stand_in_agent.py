#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A stand-in for the ngrok agent, the program: ``ngrok http PORT``. After two seconds it tells of its tunnel at the
place where the real one does. What it is given and asked is written to the file that ``STAND_IN_NGROK`` names.

Libraries: none but the standard one.
"""

import http.server
import json
import os
import signal
import sys
import time

URL = 'https://agent.ngrok-free.app'
BEGAN = time.monotonic()


def note(**facts):
    with open(os.environ['STAND_IN_NGROK'], 'a', encoding = 'utf-8') as file:  # noqa: PTH123
        file.write(json.dumps(facts) + '\n')


class Agent(http.server.BaseHTTPRequestHandler):
    """The agent's own API."""

    def do_GET(self):  # noqa: N802
        tunnel = {
            'name': 'command_line',
            'uri': '/api/tunnels/command_line',
            'public_url': URL,
            'config': {
                'addr': f'http://localhost:{sys.argv[2]}'
            }
        }
        body = json.dumps({'tunnels': [tunnel] if time.monotonic() > BEGAN + 2 else []}).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self):  # noqa: N802
        note(deleted = self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def end(*_):
    note(ended = True)
    sys.exit()


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, end)
    note(arguments = sys.argv[1:], token = os.environ.get('NGROK_AUTHTOKEN'))
    sys.stdout.write('THE WHOLE TERMINAL\n')
    sys.stdout.flush()
    # the agent may still hold the port of the test before
    http.server.ThreadingHTTPServer.allow_reuse_address = True
    http.server.ThreadingHTTPServer(('127.0.0.1', 4040), Agent).serve_forever()
