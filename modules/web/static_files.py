#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The page's own files: their addresses change with what is in them, so that browsers may keep them for good, and what is
text is sent compressed.

Libraries: Flask, Flask-Compress.
"""

import functools
import hashlib
import posixpath
import re
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from flask_compress import Compress

from modules.configuration import ROOT

#: seconds that an address with the right version may be kept
YEAR = 365 * 86400

#: what is compressed. Pictures and clips are already, and events must not wait for more to be compressed with
COMPRESSED = ('application/json', 'application/manifest+json', 'image/svg+xml', 'text/css',
              'text/html', 'text/javascript')
#: bytes that one packet holds anyway
LEAST_BYTES = 1400


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
def list_modules() -> list[str]:
    """
    List the modules of the page, which a browser fetches all at once when it knows them.

    :return: file names, in the order in which they are imported
    :rtype: list[str]
    """
    found: list[str] = []
    wanted = ['main.js']
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
    return found[1:]


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


def register(app: Flask) -> None:
    """
    Have every address of a static file carry the version, and compress what is worth it.

    :param app: the app, whose ``extensions['static_version']`` is set
    :type app: Flask
    """
    app.config.update(
        COMPRESS_REGISTER = False,
        COMPRESS_MIMETYPES = COMPRESSED,
        COMPRESS_MIN_SIZE = LEAST_BYTES,
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
