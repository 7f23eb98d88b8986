#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Sends a job's file, whole or in part.

Libraries: Flask.
"""

import contextlib
from pathlib import Path

from flask import Response, send_file

from modules import errors
from modules.jobs import Job
from modules.routes import services


def sent(job: Job, path: Path, mime_type: str, name: str, *, is_attached: bool = False) -> Response:
    """
    A file as an answer; while it is sent, its job is not tidied away.

    :param job: the job
    :type job: Job
    :param path: one of its files
    :type path: Path
    :param mime_type: its type
    :type mime_type: str
    :param name: what it is called when it is saved
    :type name: str
    :param is_attached: browsers are to save it rather than show it
    :type is_attached: bool
    :return: the file, or the part of it that was asked for
    :rtype: Response
    :raises errors.NotFound: when it has gone meanwhile
    """
    with contextlib.ExitStack() as undo:
        undo.enter_context(services().store.reading(job))
        try:
            response = send_file(path, mime_type, as_attachment = is_attached, download_name = name)
        except FileNotFoundError as error:
            raise errors.NotFound from error
        # a server that took the file over by itself would not say when it has read it
        response.direct_passthrough = False
        response.call_on_close(undo.pop_all().close)
    response.headers['Cache-Control'] = 'private, no-cache'
    return response
