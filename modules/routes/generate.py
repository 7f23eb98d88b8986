#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``POST /generate``: a job plus a wait. What a photo must be stands in ``photos``, what the fields must be in
``request``.

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
from modules.jobs.leftovers import remove_folder
from modules.jobs.store import fsync
from modules.photos.sandbox import calls
from modules.request import parse_request, safe_stem
from modules.web.access import proxies
from modules.web.access.guards import heavy_work_slot
from modules.web.files import file_response
from modules.web.services import client_disconnected, services

blueprint = Blueprint('generate', __name__)
logger = logging.getLogger(__name__)

#: seconds between two checks of whether the client is still there
CHECK = 0.2


@blueprint.post('/generate')
def generate() -> Response:
    """
    Make a clip of the uploaded photo and answer with it.

    :return: the file, with ``X-Job-Id``, ``X-Seed`` and ``X-Engine``
    :rtype: Response
    :raises errors.Refusal: whatever stands in the way
    """
    job = submit_job(is_awaited = True)
    # not removed before it is sent
    with services().store.readers.reading(job):
        wait(job, client_disconnected())
        if job.state != 'done':
            services().queue.remove(job)
        return clip_response(job)


def submit_job(*, is_awaited: bool) -> Job:
    """
    Put a job for the form's photo and fields in the queue.

    :param is_awaited: the job is dropped when its client hangs up
    :type is_awaited: bool
    :return: a job that will not be lost
    :rtype: Job
    :raises errors.Refusal: when it is not acceptable; nothing is left on the disk then
    """
    queue, animator = services().queue, services().animator
    photo = get_photo()
    identity = new_id()
    folder = services().store.home / identity
    upload = folder / 'upload'
    # Werkzeug's name is None where a part has none
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
        undo.callback(remove_folder, folder)
        save_upload(photo, upload)
        limit = services().configuration.web.max_pixels
        services().sandbox.run(calls.check, upload, limit, client = client)
        queue.submit(job)
        undo.pop_all()
    return job


def save_upload(photo: FileStorage, path: Path) -> None:
    """
    Write an upload to the disk, where it outlives a crash.

    :param photo: the upload
    :type photo: FileStorage
    :param path: where to, in a new folder of its own
    :type path: Path
    :raises errors.DiskFull: when it cannot be written
    """
    try:
        # the home itself may have been removed meanwhile
        path.parent.mkdir(parents = True)
        photo.save(path)
        fsync(path)
    except OSError as error:
        logger.exception('An upload could not be written')
        raise errors.DiskFull from error


def get_photo() -> FileStorage:
    """
    Return the one file of the form.

    :return: the upload
    :rtype: FileStorage
    :raises errors.BadRequest: when there is none, or more than one, or one under another name
    """
    # no other form brings files, and Werkzeug reads others into memory, each field many times its size
    if request.mimetype != 'multipart/form-data':
        raise errors.MissingFile('file')
    # a browser sends an empty, nameless part for a file field in which nothing was chosen
    files = [(field, part) for field, part in request.files.items(multi = True)
             if not is_blank(part)]
    for field, _part in files:
        if field != 'file':
            raise errors.UnknownField((field or '')[:80])
    if len(files) > 1:
        raise errors.RepeatedField('file')
    if not files:
        raise errors.MissingFile('file')
    return files[0][1]


def is_blank(part: FileStorage) -> bool:
    """
    Tell whether a file part stands for no file at all.

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
    :param has_gone: tells whether the client hung up
    :type has_gone: Callable[[], bool]
    """
    while not job.wait(CHECK):
        if has_gone():
            services().queue.cancel(job)


def clip_response(job: Job) -> Response:
    """
    Answer with the clip of a job that has ended.

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
        # headers have no letters but ASCII
        response.headers['X-Note'] = note.in_('en')
    response.headers['Cache-Control'] = 'no-store'
    return response
