#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Sends a job's file, whole or in part. The server takes the open file over, so that a slow reader holds no thread.

Libraries: Flask, Werkzeug.
"""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from flask import Response, request, send_file
from werkzeug.http import parse_range_header
from werkzeug.wsgi import wrap_file

from modules import errors
from modules.homes import open_no_follow
from modules.jobs.job import Job
from modules.web import names
from modules.web.services import services

#: besides letters and digits, what stands for itself in a name with its encoding (RFC 5987, attr-char)
UNQUOTED = '!#$&+-.^_`|~'


class HeldFile(io.FileIO):
    """
    A file that calls back when it is closed.

    :param path: the file
    :type path: Path
    :param release: called once, when it is closed
    :type release: Callable[[], None]
    """

    def __init__(self, path: Path, release: Callable[[], None]):
        super().__init__(path, opener = open_no_follow)
        self._release = release

    def close(self) -> None:
        """Close it."""
        if not self.closed:
            super().close()
            self._release()


def file_response(job: Job,
                  path: Path,
                  mime_type: str,
                  name: str,
                  *,
                  is_attached: bool = False) -> Response:
    """
    Answer with a file; while it is sent, its job is not removed.

    :param job: the job
    :type job: Job
    :param path: one of its files
    :type path: Path
    :param mime_type: its type
    :type mime_type: str
    :param name: its name when it is saved
    :type name: str
    :param is_attached: browsers are to save it rather than show it
    :type is_attached: bool
    :return: the file, or the part of it that was asked for
    :rtype: Response
    :raises errors.NotFound: when it was removed meanwhile
    """
    with contextlib.ExitStack() as undo:
        lease = contextlib.ExitStack()
        lease.enter_context(services().store.readers.reading(job))
        undo.callback(lease.close)
        try:
            file = HeldFile(path, lease.close)
        except FileNotFoundError as error:
            raise errors.NotFound from error
        undo.callback(file.close)
        facts = os.fstat(file.fileno())
        response = send_file(
            file,
            mime_type,
            as_attachment = is_attached,
            download_name = names.plain_name(name),
            conditional = False,
            etag = f'{facts.st_mtime_ns:x}-{facts.st_size:x}',
            last_modified = facts.st_mtime)
        response.content_length = facts.st_size
        response.make_conditional(
            _environ_with_good_range(facts.st_size),
            accept_ranges = True,
            complete_length = facts.st_size)
        if response.status_code == 206 and 'wsgi.file_wrapper' in request.environ:
            # servers that take over a file send Content-Length bytes from its position
            file.seek(response.content_range.start or 0)
            response.response = wrap_file(request.environ, file)
        # these are answered without the file, which nobody else would close
        if request.method != 'HEAD' and response.status_code != 304:
            undo.pop_all()
    if not name.isascii():
        encoded = quote(name, safe = UNQUOTED)
        # RFC 6266: programs that know this one take it
        response.headers['Content-Disposition'] += f"; filename*=UTF-8''{encoded}"
    response.headers['Cache-Control'] = 'private, no-cache'
    return response


def _environ_with_good_range(size: int) -> dict:
    """Return the request's environment without ranges that RFC 9110 wants ignored and Werkzeug refuses."""
    environ = dict(request.environ)
    ranges = parse_range_header(environ.pop('HTTP_RANGE', ''))
    if request.method == 'GET' and ranges and ranges.units == 'bytes' and len(ranges.ranges) == 1:
        (first, _end), = ranges.ranges
        # the last bytes, more than there are: all of them
        environ['HTTP_RANGE'] = 'bytes=0-' if first < -size else ranges.to_header()
    return environ
