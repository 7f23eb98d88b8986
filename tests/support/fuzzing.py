#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What strangers might send, made up by hypothesis, and what must hold whatever they send: for the tests, which try a
little, and for ``bench/fuzz.py``, which tries for minutes.

Libraries: hypothesis, Pillow, pillow-heif.
"""

import io
import json
import socket
import tempfile
import time
import warnings
from pathlib import Path

import pillow_heif
from hypothesis import strategies as some
from PIL import Image

from modules import errors
from modules.photos import reader
from modules.photos.sandbox import calls
from modules.request.parameters import PARAMETERS

FORMATS = ('AVIF', 'BMP', 'GIF', 'HEIF', 'JPEG', 'PNG', 'TIFF', 'WEBP')
MAX_PIXELS = 4_000_000

#: numbers at which formats tend to break, as they stand in files
EDGES = [
    b'\0' * 4, b'\xff' * 4, b'\x7f\xff\xff\xff', b'\xff\xff\xff\x7f', b'\x80\0\0\0', b'\0\0\0\x80',
    b'\0\1\0\0', b'\0\0\1\0', b'\xff\xff', b'\0\0'
]

#: seconds after which an answer, and the end of the connection, does not come any more
PATIENCE = 20

#: what the server may say to anything at all; never 500
STATUSES = (100, 200, 202, 204, 301, 308, 400, 401, 403, 404, 405, 408, 409, 411, 413, 414, 415,
            416, 417, 429, 431, 501, 503, 505)


def originals():
    """A small picture in every format, with EXIF where there is any."""
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, 'Maker'
    exif.get_ifd(0x8825)[1] = 'N'
    found = {}
    for kind in FORMATS:
        content = io.BytesIO()
        picture = Image.effect_mandelbrot((40, 30), (-2, -1, 1, 1), 20).convert('RGB')
        more = {} if kind in ('BMP', 'GIF') else {'exif': exif}
        picture.save(content, kind, **more)
        found[kind] = content.getvalue()
    return found


def damaged(wholes):
    """Whole pictures of which a few places were overwritten, cut out, doubled or broken off."""

    def damage(whole, changes):
        content = bytearray(whole)
        for kind, place, length, words in changes:
            # most of what decides lies at the beginning
            start = int(place**2 * max(1, len(content)))
            if kind == 'overwrite':
                content[start:start + len(words)] = words
            elif kind == 'insert':
                content[start:start] = words
            elif kind == 'cut':
                del content[start:start + length]
            elif kind == 'double':
                content[start:start] = content[start:start + length]
            else:
                del content[max(1, start):]
        return bytes(content)

    change = some.tuples(
        some.sampled_from(['overwrite'] * 5 + ['insert', 'cut', 'double', 'end']),
        some.floats(0, 1), some.integers(1, 64),
        some.one_of(some.sampled_from(EDGES), some.binary(min_size = 1, max_size = 8)))
    return some.builds(damage, some.sampled_from(sorted(wholes.values())),
                       some.lists(change, min_size = 1, max_size = 8))


def check_picture(sandbox, content):
    """
    A stranger's picture is good or refused, and the process that opened it lives.

    :param sandbox: a :class:`modules.photos.sandbox.sandbox.Sandbox`
    :param content: the file
    :return: whether it was good
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # of Pillow about EXIF that breaks off, which the program logs
        warnings.simplefilter('ignore', UserWarning)
        path = Path(folder) / 'upload'
        path.write_bytes(content)
        try:
            sandbox.run(calls.check, path, MAX_PIXELS)
            sandbox.run(calls.show, path, MAX_PIXELS, 10_000)
            reader.PhotoReader(MAX_PIXELS).exif(path)
        except errors.Refusal as refusal:
            assert refusal.status in (413, 415), refusal
            # of a process that broke or ran away; a refusal that travelled has no cause
            assert refusal.__cause__ is None, refusal.__cause__
            return False
    return True


#: what parameters may be given: right, nearly right, and anything
VALUES = some.one_of(
    some.sampled_from([
        '', '0', '-0', '1e3', 'nan', 'inf', '-1', '255', '256', '4294967295', '9' * 5000, '0x10',
        '１', '1_0', 'gif', 'auto', 'none', '1.', '.5', '1e-999', '\0', '\r\n'
    ]), some.text(max_size = 30))
#: drawings that are right, nearly right, and any JSON
NUMBERS = some.one_of(some.floats(0, 1), some.floats(), some.integers(), some.text(max_size = 3))
POINTS = some.lists(some.lists(NUMBERS, min_size = 1, max_size = 3), max_size = 6)
STROKES = some.lists(
    some.fixed_dictionaries({'points': POINTS},
                            optional = {
                                'width': NUMBERS,
                                'speed': NUMBERS,
                                'more': some.none()
                            }),
    max_size = 4)
ANY_JSON = some.recursive(
    NUMBERS,
    lambda inner: some.lists(inner, max_size = 4) | some.dictionaries(
        some.sampled_from(['strokes', 'pins', 'points', 'width']), inner),
    max_leaves = 20)
DRAWINGS = some.one_of(
    some.fixed_dictionaries({}, optional = {
        'strokes': STROKES,
        'pins': STROKES
    }), ANY_JSON).map(json.dumps)
NAMES = some.one_of(
    some.sampled_from([name for p in PARAMETERS for name in (p.name, *p.aliases)] + ['file', '']),
    some.text(max_size = 20))

#: of a multipart body: parts that stand in a wrong order, are empty, nested, never end
PIECES = some.one_of(
    some.sampled_from([
        b'--x\r\n', b'--x--\r\n', b'--x', b'\r\n', b'\r\n\r\n', b'\n', b'\0', b'--', b'"', b';',
        b'Content-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n',
        b'Content-Disposition: form-data; name="file"; filename*=UTF-8\'\'%ff%00\r\n\r\n',
        b'Content-Disposition: form-data; name="seed"\r\n\r\n',
        b'Content-Disposition: form-data; name=\r\n\r\n', b'Content-Disposition: \r\n\r\n',
        b'Content-Type: multipart/mixed; boundary=y\r\n',
        b'Content-Type: text/plain; charset=x\r\n', b'Content-Transfer-Encoding: base64\r\n',
        b'Content-Length: -1\r\n', b'GIF89a', b'\xff\xd8'
    ]), some.binary(max_size = 20))
BODIES = some.lists(PIECES, max_size = 12).map(b''.join)

#: lines of a head
KNOWN = some.sampled_from([
    b'Host: localhost', b'Host: evil.example', b'Host:', b'Content-Length: 5',
    b'Content-Length: 5, 5', b'Content-Length: -5', b'Content-Length: 99999999999999999999',
    b'Transfer-Encoding: chunked', b'Transfer-Encoding: identity, chunked',
    b'Content-Length: 5\r\nExpect: 100-continue', b'Expect: 100-continue', b'Expect: x',
    b'Range: bytes=0-,0-,0-', b'Range: bytes=9-1', b'Range: bytes=-99999999999999999999',
    b'Accept-Language: ' + b'a,' * 500, b'Accept-Language: *;q=9', b'Cookie: lang="',
    b'Cookie: lang=', b'Cookie: lang=\x9f', b'If-None-Match: W/"', b'If-Modified-Since: x',
    b'X-Forwarded-For: , ,', b'Origin: null', b'Origin: http://[', b'Sec-Fetch-Site: x',
    b'Authorization: Basic =', b'Content-Type: multipart/form-data',
    b'Content-Type: multipart/form-data; boundary=' + b'x' * 500, b'Last-Event-ID: \xff',
    b'Accept-Encoding: \x80', b'Content-Type: multipart/form-data; boundary=x', b' folded'
])
LINES = some.builds(lambda known, strange: known + strange, some.lists(KNOWN, max_size = 5),
                    some.lists(some.binary(max_size = 30), max_size = 1))
PATHS = some.one_of(
    some.sampled_from([
        b'/', b'/health', b'/jobs', b'/generate', b'/jobs/' + b'a' * 32, b'/jobs/%00/result', b'*',
        b'/static/../app.py', b'/static/%2e%2e/app.py', b'/static//etc/passwd', b'//evil.example/',
        b'http://evil.example/', b'http://[::1/', b'/?lang=%ff', b'/jobs/..%2f..%2fx/events',
        b'/metrics', b'/openapi.json'
    ]),
    some.binary(max_size = 20).map(lambda words: b'/' + words))
VERSIONS = some.sampled_from([b' HTTP/1.1'] * 5 + [b' HTTP/1.0', b' HTTP/2.0', b''])
CHUNKS = some.sampled_from([b'', b'0\r\n\r\n', b'5\r\nhello\r\n0\r\n\r\n', b'5;a="\r\n', b'-1\r\n'])


def requested(method, path, version, lines, chunks):
    """
    All that is sent. With a body that ends, as far as the head speaks of one: who announces a body and sends none is
    waited for, and that is right.
    """
    head = method + b' ' + path + version + b'\r\n' + b'\r\n'.join(
        [*lines, b'Connection: close', b'', b''])
    speaks_of_a_body = b'Content-Length' in head or b'Transfer-Encoding' in head
    return head + (chunks + b'x' * 100 + b'\r\n\r\n' if speaks_of_a_body else b'')


HEADS = some.builds(
    requested,
    some.sampled_from([b'GET', b'POST', b'HEAD', b'OPTIONS', b'DELETE', b'PUT', b'get', b'X']),
    PATHS, VERSIONS, LINES, CHUNKS)


def check_request(port, request):
    """
    Whatever is sent is answered in order, and the connection closed; a fault of the program would be a 500.

    :param port: of the server
    :param request: all that is sent
    :return: the status
    """
    answer, end = b'', time.monotonic() + PATIENCE
    with socket.create_connection(('127.0.0.1', port), PATIENCE) as client:
        try:
            client.sendall(request)
            while more := client.recv(65536):
                answer += more
                client.settimeout(max(0.01, end - time.monotonic()))
        except TimeoutError:
            raise AssertionError(
                f'not done with after {PATIENCE} s: {request}, said: {answer}') from None
        except ConnectionError:
            # the server has said all it had to, and did not read on
            pass
    assert answer.startswith(b'HTTP/1.'), (request, answer[:200])
    status = int(answer[9:12])
    assert status in STATUSES, (request, answer[:2000])
    assert b'Traceback' not in answer, request
    return status


def posted(body):
    """A whole request with a multipart body."""
    head = ('POST /jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
            f'Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}\r\n\r\n')
    return head.encode() + body
