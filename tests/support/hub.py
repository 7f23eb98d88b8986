#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A model hub on this machine, with its moods: it speaks as much of the Hugging Face hub's and of ModelScope's
HTTP API as their clients need. Not a test itself.

Libraries: numpy and safetensors, to make a small model.
"""

import contextlib
import hashlib
import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy
import safetensors.numpy

from modules.weights.web import Patience

COMMIT = '0123456789abcdef0123456789abcdef01234567'
NAME = 'somebody/tiny-video'

CONFIGS = ('model_index.json', 'feature_extractor/preprocessor_config.json',
           'image_encoder/config.json', 'scheduler/scheduler_config.json', 'unet/config.json',
           'vae/config.json')
WEIGHTS = ('image_encoder/model', 'unet/diffusion_pytorch_model', 'vae/diffusion_pytorch_model')

#: all that the pipeline needs of :func:`model`
NEEDED = sorted([*CONFIGS, *(f'{path}.fp16.safetensors' for path in WEIGHTS)])

#: how a client that has no time tries
HASTE = Patience(timeout = 3, attempts = 2, pause = 0)


def tensors(length: int, seed: int = 0) -> bytes:
    """
    A safetensors file.

    :param length: bytes of its one tensor
    :type length: int
    :param seed: of the content
    :type seed: int
    :return: the file
    :rtype: bytes
    """
    content = numpy.random.default_rng(seed).integers(0, 256, length, numpy.uint8)
    return safetensors.numpy.save({'weight': content})


def model(length: int = 20_000, *variants: str) -> dict[str, bytes]:
    """
    All files of a repository as the real one has them: plain and half weights, and much nobody needs.

    :param length: bytes of each half-precision file
    :type length: int
    :param variants: which weights there are: ``.fp16``, the empty string; none given means both
    :type variants: str
    :return: path → content
    :rtype: dict[str, bytes]
    """
    files = {path: json.dumps({'_class_name': path}).encode() for path in CONFIGS}
    for seed, path in enumerate(WEIGHTS):
        for variant in variants or ('.fp16', ''):
            double = 1 if variant else 2
            files[f'{path}{variant}.safetensors'] = tensors(double * length, seed)
        files[f'{path}.fp16.bin'] = b'old'
    return files | {
        'svd_xt.safetensors': tensors(length),
        'README.md': b'words',
        'LICENSE.md': b'terms'
    }


class Hub:
    """
    The server and its moods, which tests set.

    :param files: path → content
    :type files: dict[str, bytes]
    :param name: the model it has
    :type name: str
    """

    def __init__(self, files: dict[str, bytes], name: str = NAME):
        self.files = files
        self.name = name
        self.listed = dict(files)
        #: answer everything, or files alone, with this status
        self.status: int | None = None
        self.file_status: int | None = None
        #: so many requests for files are answered with 503 before all is well
        self.troubles = 0
        #: what the hub says in X-Error-Code with these
        self.error_code = ''
        #: the only token that is let in
        self.token = ''
        #: break every answer off after so many bytes of body
        self.cut: int | None = None
        #: bytes per second and connection
        self.speed: float | None = None
        #: ignore Range
        self.whole_only = False
        #: scheme, host and port of the server that weights are redirected to
        self.storage = ''
        #: (method, path, headers), as they came
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.bytes_sent = 0
        self._lock = threading.Lock()
        self.url = ''
        #: the request after which everything is slow to the point of silence
        self.silent = False
        #: what the API answers, whatever it is asked
        self.answer: bytes | None = None
        #: files are given when it is set
        self.gate = threading.Event()
        self.gate.set()
        self.closing = threading.Event()

    @contextlib.contextmanager
    def serving(self, certificate: Path | None = None) -> Iterator['Hub']:
        """
        Serve on a free port.

        :param certificate: a PEM file with its key, to serve over TLS
        :type certificate: Path | None
        :yield: the hub itself
        :ytype: Hub
        """
        hub = self

        class Bound(_Handler):
            owner = hub

        server = ThreadingHTTPServer(('127.0.0.1', 0), Bound)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side = True)
        self.url = f'http{"s" if certificate else ""}://127.0.0.1:{server.server_address[1]}'
        thread = threading.Thread(target = server.serve_forever, args = (0.02, ))
        thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            server.shutdown()
            thread.join()
            server.server_close()

    def count(self, sent: int) -> None:
        """
        Count what one of the threads sends.

        :param sent: bytes; fewer than none where they could not be sent
        :type sent: int
        """
        with self._lock:
            self.bytes_sent += sent

    def paths(self) -> list[str]:
        """
        Which files were asked for.

        :return: their paths, sorted, each once
        :rtype: list[str]
        """
        marks = (f'/resolve/{COMMIT}/', '/resolve/master/')
        return sorted({
            path.split(mark)[1]
            for method, path, _ in self.requests if method == 'GET' for mark in marks
            if mark in path
        })

    def info(self) -> dict:
        """
        What the hub's API tells of a model.

        :return: the JSON
        :rtype: dict
        """
        return {
            '_id': '1',
            'id': self.name,
            'modelId': self.name,
            'sha': COMMIT,
            'private': False,
            'gated': False,
            'tags': [],
            'downloads': 0,
            'likes': 0,
            'cardData': {
                'license': 'other',
                'license_name': 'tiny-community',
                'license_link': 'LICENSE.md'
            },
            'siblings': [_sibling(path, content) for path, content in self.listed.items()],
        }

    def scope(self) -> dict:
        """
        What ModelScope's API tells of a model's files.

        :return: the JSON
        :rtype: dict
        """
        files = [{'Path': path.split('/')[0], 'Type': 'tree', 'Size': 0} for path in WEIGHTS]
        files += [{
            'Path': path,
            'Type': 'blob',
            'Size': len(content),
            'Sha256': hashlib.sha256(content).hexdigest()
        } for path, content in self.listed.items()]
        return {'Code': 200, 'Success': True, 'Data': {'Files': files}}


def _sibling(path: str, content: bytes) -> dict:
    blob = hashlib.sha1(b'blob %d\0' % len(content) + content, usedforsecurity = False)
    sibling = {'rfilename': path, 'size': len(content), 'blobId': blob.hexdigest()}
    if path.endswith(('.safetensors', '.onnx')):
        sibling['blobId'] = '0' * 40
        sibling['lfs'] = {
            'sha256': hashlib.sha256(content).hexdigest(),
            'size': len(content),
            'pointerSize': 135
        }
    return sibling


class _Handler(BaseHTTPRequestHandler):
    owner: Hub
    protocol_version = 'HTTP/1.1'

    def do_GET(self) -> None:  # noqa: N802
        hub = self.owner
        hub.requests.append((self.command, self.path, dict(self.headers)))
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        if hub.silent:
            hub.closing.wait(10)
        elif status := self._refusal(path):
            self._answer(status, b'{"error": "no"}', {'X-Error-Code': hub.error_code})
        elif hub.answer is not None:
            self._answer(200, hub.answer, {})
        elif path == f'/api/models/{hub.name}':
            self._answer(200, json.dumps(hub.info()).encode(), {})
        elif path == f'/api/v1/models/{hub.name}/repo/files':
            self._answer(200, json.dumps(hub.scope()).encode(), {})
        else:
            self._file(path)

    do_HEAD = do_GET  # noqa: N815

    def _refusal(self, path: str) -> int | None:
        hub = self.owner
        if hub.token and self.headers.get('Authorization') != f'Bearer {hub.token}':
            return 401
        if '/resolve/' in path and hub.troubles:
            hub.troubles -= 1
            return 503
        if '/resolve/' in path and hub.file_status:
            return hub.file_status
        return hub.status or (None if hub.name in path or path.startswith('/storage/') else 404)

    def _file(self, path: str) -> None:
        hub = self.owner
        hub.gate.wait(60)
        file = path.split('/resolve/')[-1].partition('/')[2] if '/resolve/' in path else path[9:]
        if file not in hub.files:
            self._answer(404, b'', {'X-Error-Code': 'EntryNotFound'})
        elif hub.storage and file.endswith(('.safetensors', '.onnx')):
            self._answer(302, b'', {'Location': f'{hub.storage}/storage/{file}'})
        else:
            content, wanted = hub.files[file], self.headers.get('Range')
            if not wanted or hub.whole_only:
                tag = f'"{hashlib.sha256(content).hexdigest()}"'
                self._answer(200, content, {'X-Repo-Commit': COMMIT, 'ETag': tag})
                return
            start = int(wanted.removeprefix('bytes=').split('-')[0])
            ranged = f'bytes {start}-{len(content) - 1}/{len(content)}'
            self._answer(206, content[start:], {'Content-Range': ranged})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        hub = self.owner
        self.send_response(status)
        for name, value in {**headers, 'Content-Length': str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == 'HEAD':
            return
        is_file = '/resolve/' in self.path or '/storage/' in self.path
        cut = hub.cut if is_file and hub.cut is not None else len(body)
        step = len(body) if not hub.speed or not is_file else 4096
        with contextlib.suppress(OSError):
            for start in range(0, min(cut, len(body)), step or 1):
                part = body[start:min(start + step, cut)]
                # before: whoever has got the last byte asks how many there were
                counted = len(part) if is_file and status in (200, 206) else 0
                hub.count(counted)
                try:
                    self.wfile.write(part)
                except OSError:
                    hub.count(-counted)
                    raise
                if hub.speed and is_file:
                    time.sleep(step / hub.speed)
        self.close_connection = cut < len(body) or self.close_connection

    def log_message(self, *_: object) -> None:
        """Say nothing."""
