#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The page's own files: their addresses change with what is in them, so that browsers may keep them for good, and what is
text is sent compressed.

Libraries: Flask, Flask-Compress.
"""

import functools
import hashlib
import operator
import posixpath
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from flask_compress import Compress

from modules.configuration import ROOT

#: seconds that an address with the right version may be kept
YEAR = 365 * 86400

#: what is compressed; which name a module has is up to the machine's table of types. Pictures and clips are compressed
#: already, and events must not wait for more to be compressed with
COMPRESSED = ('application/javascript', 'application/json', 'application/manifest+json',
              'image/svg+xml', 'text/css', 'text/html', 'text/javascript')
#: bytes below which the head of an answer is most of it
LEAST_BYTES = 300
#: of Brotli; a page is compressed whenever it is asked for, the other files once
LEVEL = 9


def compute_version(folder: Path) -> str:
    """
    Name what the files of a folder hold now. Modules import each other by relative addresses, so one name serves all.

    :param folder: the folder
    :type folder: Path
    :return: the first part of their addresses below the folder's own
    :rtype: str
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob('*')):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + b'\0')
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f'v-{digest.hexdigest()[:12]}'


@functools.cache
def list_modules(first: str) -> list[str]:
    """
    List the modules that one of them needs, which a browser fetches all at once when it knows them.

    :param first: the file name of a module
    :type first: str
    :return: file names, the first one's before all, in the order in which they are imported
    :rtype: list[str]
    """
    found: list[str] = []
    wanted = [first]
    while wanted:
        name = wanted.pop(0)
        if name not in found:
            found.append(name)
            text = (ROOT / 'static' / 'js' / name).read_text(encoding = 'utf-8')
            imported = re.findall(r"^import .*'(\.\.?/[^']+)'", text, re.M)
            wanted += [
                posixpath.normpath(posixpath.join(posixpath.dirname(name), each))
                for each in imported
            ]
    return found


def split_version(name: str) -> tuple[str, str]:
    """
    Take the version out of an address. One of another version is served too: a page may be older than the program.

    :param name: what comes after the folder's own address
    :type name: str
    :return: the version, empty where there is none, and the file's name
    :rtype: tuple[str, str]
    """
    version, slash, rest = name.partition('/')
    return (version, rest) if slash and re.fullmatch('v-[0-9a-f]{12}', version) else ('', name)


def keep_for_good(response: Response) -> None:
    """
    Let browsers keep a file without asking again.

    :param response: the file, or that it has not changed
    :type response: Response
    """
    response.cache_control.no_cache = None
    response.cache_control.max_age = YEAR
    response.cache_control.immutable = True


class CompressedFiles:
    """
    What the page's own files became when they were compressed; of other answers nothing is kept.

    :param addresses: of the files, as whoever has the page of today asks for them
    :type addresses: Collection[str]
    """

    def __init__(self, addresses: Collection[str]):
        self._addresses = addresses
        self._contents: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        """
        Find a file.

        :param key: the encoding, and an address after a semicolon
        :type key: str
        :return: what it became
        :rtype: bytes | None
        """
        return self._contents.get(key)

    def set(self, key: str, content: bytes) -> None:
        """
        Keep a file.

        :param key: the encoding, and an address after a semicolon
        :type key: str
        :param content: what it became
        :type content: bytes
        """
        # addresses that strangers make up may be any number
        if key.partition(';')[2] in self._addresses:
            self._contents[key] = content


def register(app: Flask) -> None:
    """
    Have every address of a static file carry the version, and compress what is worth it.

    :param app: the app, whose ``extensions['static_version']`` is set
    :type app: Flask
    """
    home = ROOT / 'static'
    version = app.extensions['static_version'] = compute_version(home)
    addresses = {
        f'/static/{version}/{path.relative_to(home).as_posix()}'
        for path in home.rglob('*')
    }
    app.config.update(
        COMPRESS_REGISTER = False,
        COMPRESS_MIMETYPES = COMPRESSED,
        COMPRESS_MIN_SIZE = LEAST_BYTES,
        COMPRESS_BR_LEVEL = LEVEL,
        COMPRESS_CACHE_BACKEND = functools.partial(CompressedFiles, addresses),
        COMPRESS_CACHE_KEY = operator.attrgetter('path'),
        COMPRESS_ALGORITHM = ['br', 'gzip'])
    compressor = Compress(app)

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == 'static':
            values['filename'] = f'{app.extensions["static_version"]}/{values["filename"]}'

    @app.after_request
    def compress(response: Response) -> Response:
        is_static = request.endpoint == 'static'
        # what the API answers names a job beside words of whoever asks: its length must tell nothing
        is_answer = response.mimetype == 'application/json' and not is_static
        if response.status_code != 200 or response.mimetype not in COMPRESSED or is_answer:
            return response
        if is_static:
            # whole, so that its length can be told
            response.direct_passthrough = False
            response.make_sequence()
        return compressor.after_request(response)
