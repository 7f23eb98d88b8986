#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The asynchronous API: submit, follow and cancel jobs, and fetch their files.

Libraries: Flask.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator

from flask import Blueprint, Response, jsonify, request, send_file, stream_with_context

from modules import encoders, errors
from modules.clips.animator import PREVIEW, preview_jpeg
from modules.homes import read_no_follow
from modules.jobs.job import Job
from modules.request.parameters import PARAMETERS
from modules.routes import generate
from modules.web.access.guards import heavy_work_slot
from modules.web.files import file_response
from modules.web.job_view import job_to_dict
from modules.web.services import client_disconnected, language, services

blueprint = Blueprint('jobs', __name__, url_prefix = '/jobs')

#: seconds without an event after which a stream sends a heartbeat, and between two checks of the connection
HEARTBEAT_INTERVAL, CHECK_INTERVAL = 10, 1


@blueprint.post('')
def submit() -> Response:
    """
    Accept a photo and put its job in the queue.

    :return: 202 with the job, which survives a restart of the program
    :rtype: Response
    :raises errors.Refusal: whatever stands in the way
    """
    job = generate.submit_job(is_awaited = False)
    response = job_response(job)
    response.status_code = 202
    response.headers['Location'] = f'{request.root_path}/jobs/{job.id}'
    return response


@blueprint.get('/<identity>')
def show(identity: str) -> Response:
    """
    Show a job.

    :param identity: its id
    :type identity: str
    :return: the job
    :rtype: Response
    """
    return job_response(find(identity))


@blueprint.get('/<identity>/events')
def events(identity: str) -> Response:
    """
    Send a job at once and whenever it changes, until it has ended.

    :param identity: its id
    :type identity: str
    :return: server-sent events
    :rtype: Response
    :raises errors.TooManyStreams: when enough connections are kept open
    """
    job, streams = find(identity), services().streams
    if not streams.acquire(blocking = False):
        raise errors.TooManyStreams
    seen = request.headers.get('Last-Event-ID', '')
    news = stream_with_context(stream(job, language(), seen, client_disconnected()))
    response = Response(news, mimetype = 'text/event-stream')
    response.call_on_close(streams.release)
    response.headers['Cache-Control'] = 'no-store'
    # nginx would collect events before it passes them on
    response.headers['X-Accel-Buffering'] = 'no'
    return response


@blueprint.get('/<identity>/preview')
def preview(identity: str) -> Response:
    """
    Send a small picture of the clip as it stands.

    :param identity: the job's id
    :type identity: str
    :return: JPEG, at most 512 pixels a side
    :rtype: Response
    :raises errors.NotFound: while there is none
    """
    return send_preview(find(identity))


def send_preview(job: Job) -> Response:
    """
    Send a small picture of a clip as it stands.

    :param job: the job
    :type job: Job
    :return: JPEG
    :rtype: Response
    :raises errors.NotFound: while there is none
    """
    picture = job.progress.picture
    content = job.preview or (preview_jpeg(picture) if picture is not None else _kept_preview(job))
    response = send_file(io.BytesIO(content), 'image/jpeg')
    response.headers[
        'Cache-Control'] = 'private, max-age=3600' if 'v' in request.args else 'no-store'
    return response


def _kept_preview(job: Job) -> bytes:
    if job.state != 'done':
        raise errors.NotFound
    try:
        with read_no_follow(job.folder / PREVIEW) as file:
            return file.read()
    except FileNotFoundError as error:
        raise errors.NotFound from error


@blueprint.get('/<identity>/photo')
def photo(identity: str) -> Response:
    """
    Send the photo as it came; as an attachment, because nobody knows what else is in it.

    :param identity: the job's id
    :type identity: str
    :return: the upload
    :rtype: Response
    """
    job = find(identity)
    if not job.upload.exists():
        raise errors.NotFound
    return file_response(
        job, job.upload, 'application/octet-stream', job.request.stem, is_attached = True)


@blueprint.get('/<identity>/result')
def result(identity: str) -> Response:
    """
    Send a finished clip in any format; what is not there yet is made of the kept frames.

    :param identity: the job's id
    :type identity: str
    :return: the file, or the part of it that was asked for
    :rtype: Response
    :raises errors.NotDone: while there is none
    """
    return send_result(find(identity))


def send_result(job: Job) -> Response:
    """
    Send a clip in the format that is asked for.

    :param job: the job
    :type job: Job
    :return: the file, or the part of it that was asked for
    :rtype: Response
    :raises errors.NotDone: while there is none
    """
    wanted = parse_format() or job.request.format
    if job.state != 'done':
        raise errors.NotDone
    kind = encoders.TABLE[wanted]
    with services().store.readers.reading(job):
        path = job.file(wanted)
        if not path.exists():
            with heavy_work_slot():
                path = services().results.file(job, wanted)
        name = kind.name(job.request.stem, job.created, job.id)
        is_attached = kind.extension.endswith('.zip') or request.args.get('download') == '1'
        return file_response(job, path, kind.mime_type, name, is_attached = is_attached)


@blueprint.post('/<identity>/cancel')
def cancel(identity: str) -> Response:
    """
    Stop a job: at once when it waits, within one step when it runs.

    :param identity: its id
    :type identity: str
    :return: the job
    :rtype: Response
    :raises errors.AlreadyEnded: when there is nothing to stop
    """
    job = find(identity)
    if job.state in ('done', 'failed'):
        raise errors.AlreadyEnded
    services().queue.cancel(job)
    return job_response(job)


@blueprint.delete('/<identity>')
def delete(identity: str) -> Response:
    """
    Cancel a job if needed, and remove everything that is kept of it.

    :param identity: its id
    :type identity: str
    :return: nothing
    :rtype: Response
    """
    services().queue.remove(find(identity))
    return Response(status = 204)


def find(identity: str) -> Job:
    """
    Find a job by its id.

    :param identity: what stands in the path
    :type identity: str
    :return: the job
    :rtype: Job
    :raises errors.NotFound: when there is none
    """
    return services().queue.find(identity)


def parse_format() -> str:
    """
    Read which format is asked for.

    :return: a name of :data:`modules.encoders.TABLE`; empty where none is named
    :rtype: str
    :raises errors.BadRequest: when it is unknown, or there are several
    """
    asked = [name for name in request.args.getlist('format') if name]
    if len(asked) > 1:
        raise errors.RepeatedField('format')
    by_name = {parameter.name: parameter for parameter in PARAMETERS}
    return by_name['format'].parse(asked[0]) if asked else ''


def job_response(job: Job) -> Response:
    """
    Answer with a job.

    :param job: the job
    :type job: Job
    :return: JSON
    :rtype: Response
    """
    response = jsonify(job_to_dict(job, language()))
    response.headers['Cache-Control'] = 'no-store'
    return response


def stream(job: Job, reader: str, seen: str, has_gone: Callable[[], bool]) -> Iterator[str]:
    """
    Send events to whoever follows a job.

    :param job: the job
    :type job: Job
    :param reader: the language of the messages
    :type reader: str
    :param seen: id of the last event the client has
    :type seen: str
    :param has_gone: tells whether the client hung up
    :type has_gone: Callable[[], bool]
    :yield: events and heartbeats
    :ytype: str
    """
    queue = services().queue
    changes = silence = 0
    yield ': \n\n'
    while not has_gone():
        is_last = job.has_ended or queue.is_closing
        now = job_to_dict(job, reader)
        # that time passes is no change
        news = json.dumps({**now, 'eta_seconds': None}).encode()
        identity = hashlib.sha256(news).hexdigest()[:16]
        if identity != seen:
            seen, silence = identity, 0
            yield f'id: {identity}\ndata: {json.dumps(now, ensure_ascii = False)}\n\n'
        if is_last:
            return
        before, changes = changes, job.wait_for_change(changes, CHECK_INTERVAL)
        silence += before == changes
        if silence >= HEARTBEAT_INTERVAL:
            silence = 0
            yield ': \n\n'
