#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``POST /generate``: a job plus a wait. The way in is here; what a photo must be is said in ``photos``, what the
fields must be in ``parameters``.

Libraries: Flask, Werkzeug.
"""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from flask import Blueprint, Response, request
from werkzeug.datastructures import FileStorage

from modules import encoders, errors
from modules.jobs.job import Job, new_id
from modules.jobs.store import settle
from modules.photos.sandbox import calls
from modules.request import parse_request, safe_stem
from modules.web.access import proxies
from modules.web.access.guards import heavy_work_slot
from modules.web.files import file_response
from modules.web.services import services

blueprint = Blueprint('generate', __name__)
logger = logging.getLogger(__name__)

#: seconds between two looks at whether the client is still there
PATIENCE = 0.2


@blueprint.post('/generate')
def generate() -> Response:
    """
    Make a clip of the uploaded photo and answer with it.

    :return: the file, with ``X-Job-Id``, ``X-Seed`` and ``X-Engine``
    :rtype: Response
    :raises errors.Refusal: whatever stands in the way
    """
    job = accept(is_awaited = True)
    # nobody tidies it away before it is sent
    with services().store.reading(job):
        wait(job, request.environ.get('waitress.client_disconnected', bool))
        if job.state != 'done':
            services().queue.remove(job)
        return answer(job)


def accept(*, is_awaited: bool) -> Job:
    """
    Take the form's photo and fields, and stand them in line.

    :param is_awaited: the job goes when its client does
    :type is_awaited: bool
    :return: a job that will not be lost
    :rtype: Job
    :raises errors.Refusal: when it is not acceptable; nothing is left on the disk then
    """
    queue, animator = services().queue, services().animator
    photo = the_photo()
    identity = new_id()
    folder = services().store.home / identity
    upload = folder / 'upload'
    # Werkzeug tells of no name where a part has none
    fields = [(name or '', value) for name, value in request.form.items(multi = True)]
    wanted = parse_request(fields, upload, safe_stem(photo.filename),
                           services().configuration.model.engine)
    client = proxies.client(request)
    job = Job(
        identity,
        folder,
        animator.with_defaults(wanted),
        is_awaited,
        client = client,
        sender = services().senders.name(client))
    queue.check_room(job.client)
    with heavy_work_slot(), contextlib.ExitStack() as undo:
        undo.callback(job.discard)
        store(photo, upload)
        limit = services().configuration.web.max_pixels
        services().sandbox.run(calls.check, upload, limit, client = client)
        queue.submit(job)
        undo.pop_all()
    return job


def store(photo: FileStorage, path: Path) -> None:
    """
    Write an upload to the disk; on return it will outlive a crash.

    :param photo: the upload
    :type photo: FileStorage
    :param path: where to, in a folder of its own that is not there yet
    :type path: Path
    :raises errors.DiskFull: when it cannot be written
    """
    try:
        # all of it may have been tidied away while nobody came
        path.parent.mkdir(parents = True)
        photo.save(path)
        settle(path)
    except OSError as error:
        logger.exception('An upload could not be written')
        raise errors.DiskFull from error


def the_photo() -> FileStorage:
    """
    The one file of the form.

    :return: the upload
    :rtype: FileStorage
    :raises errors.BadRequest: when there is none, or more than one, or one under another name
    """
    # no other form brings files, and Werkzeug reads others into memory, each field many times its size
    if request.mimetype != 'multipart/form-data':
        raise errors.MissingFile('file')
    # a browser sends an empty, nameless part for a file field in which nothing was chosen
    sent = [(field, part) for field, part in request.files.items(multi = True)
            if not is_blank(part)]
    for field, _part in sent:
        if field != 'file':
            raise errors.UnknownField((field or '')[:80])
    if len(sent) > 1:
        raise errors.RepeatedField('file')
    if not sent:
        raise errors.MissingFile('file')
    return sent[0][1]


def is_blank(part: FileStorage) -> bool:
    """
    Whether a file part stands for no file at all.

    :param part: a file part of a form
    :type part: FileStorage
    :return: whether it has neither a name nor any bytes
    :rtype: bool
    """
    if part.filename:
        return False
    is_empty = not part.stream.read(1)
    part.stream.seek(0)
    return is_empty


def wait(job: Job, has_gone: Callable[[], bool]) -> None:
    """
    Wait until a job has ended; a job whose client has gone is dropped.

    :param job: a submitted job
    :type job: Job
    :param has_gone: whether the client hung up
    :type has_gone: Callable[[], bool]
    """
    while not job.wait(PATIENCE):
        if has_gone():
            services().queue.cancel(job)


def answer(job: Job) -> Response:
    """
    The clip of a job that has ended.

    :param job: the job
    :type job: Job
    :return: the file
    :rtype: Response
    :raises errors.Refusal: why there is none
    """
    if job.error:
        raise job.error
    if job.state != 'done':
        raise errors.Unavailable
    kind = encoders.TABLE[job.request.format]
    name = kind.name(job.request.stem, job.created, job.id)
    response = file_response(job, job.file(job.request.format), kind.mime_type, name)
    response.headers['X-Job-Id'] = job.id
    response.headers['X-Seed'] = str(job.request.seed)
    response.headers['X-Engine'] = job.request.engine
    if note := job.notes.get(job.request.format):
        # headers have no letters but these
        response.headers['X-Note'] = note.in_('en')
    response.headers['Cache-Control'] = 'no-store'
    return response
