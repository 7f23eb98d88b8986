#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Every refusal: a class with its HTTP status and its stable code. Words are in the locale files.

Libraries: none.
"""

import errno
from collections.abc import Iterator

from modules.i18n import Text

#: errors of a file system without space or permission
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EPERM)


class Refusal(Exception):
    """
    A request that is not served. Its words are the locale entry ``errors.<code>``.

    :param field: the form field that is at fault, if one is
    :type field: str | None
    :param retry_after: seconds after which trying again makes sense, if it ever does
    :type retry_after: int | None
    :param details: what the placeholders of the words stand for
    :type details: object
    """

    status = 500
    code = 'internal_error'
    retry_after: int | None = None

    def __init__(self, field: str | None = None, retry_after: int | None = None, **details: object):
        super().__init__(self.code, details)
        self.field = field
        self.retry_after = retry_after or self.retry_after
        self.details = details

    @property
    def text(self) -> Text:
        """The words, once the reader's language is known."""
        return Text(f'errors.{self.code}', {'field': self.field, **self.details})

    def __str__(self) -> str:
        return self.text.in_('en')

    def __reduce__(self) -> tuple:
        # as it travels between processes
        return Refusal.from_dict, (self.to_dict(), )

    def to_json(self, language: str) -> dict[str, str | None]:
        """
        Return the refusal as programs and the page see it.

        :param language: of the message
        :type language: str
        :return: ``message``, ``code`` and ``field``
        :rtype: dict[str, str | None]
        """
        return {'message': self.text.in_(language), 'code': self.code, 'field': self.field}

    def to_dict(self) -> dict:
        """
        Return the refusal in a form that can be kept.

        :return: what JSON can hold, for :meth:`from_dict`
        :rtype: dict
        """
        details = Text(self.code, self.details).to_dict()['values']
        return {'code': self.code, 'field': self.field, 'details': details}

    @staticmethod
    def from_dict(kept: dict) -> 'Refusal':
        """
        Return a refusal that was kept.

        :param kept: from :meth:`to_dict`
        :type kept: dict
        :return: the same refusal; a plain one where this version does not know its code
        :rtype: Refusal
        """
        kind = next((each for each in kinds() if each.code == kept['code']), Refusal)
        details = Text.from_dict({'key': kept['code'], 'values': kept['details']}).values
        return kind(kept['field'], **details)


class BadRequest(Refusal):
    """The request cannot be understood."""

    status = 400
    code = 'bad_request'


class MalformedRequest(BadRequest):
    """What came is not HTTP as the server understands it."""

    code = 'malformed_request'


class MalformedForm(BadRequest):
    """The body is no ``multipart/form-data``, although its type says so."""

    code = 'malformed_form'


class IncompleteForm(MalformedForm):
    """The form's last boundary did not come: something broke off on the way."""

    code = 'incomplete_form'


class MissingFile(BadRequest):
    """No photo came."""

    code = 'missing_file'


class RepeatedField(BadRequest):
    """A field that may come once came several times."""

    code = 'repeated_field'


class UnknownField(BadRequest):
    """A field nobody here knows."""

    code = 'unknown_field'


class NotANumber(BadRequest):
    """A number was expected; ``details``: ``value``."""

    code = 'not_a_number'


class OutOfRange(BadRequest):
    """A number beyond its range; ``details``: ``minimum``, ``maximum``."""

    code = 'out_of_range'


class UnknownChoice(BadRequest):
    """A word that is none of the known ones; ``details``: ``value``, ``choices``."""

    code = 'unknown_choice'


class NotAPoint(BadRequest):
    """A point was expected; ``details``: ``value``."""

    code = 'not_a_point'


class BadDrawing(BadRequest):
    """Something is wrong with what was drawn; ``details``: ``place``, ``problem``."""

    code = 'bad_drawing'


class TooLong(BadRequest):
    """A text is too long; ``details``: ``length``, ``longest``."""

    code = 'too_long'


class PasswordNeeded(Refusal):
    """A ``Password`` is set, and was not given."""

    status = 401
    code = 'password_needed'


class HostNotServed(Refusal):
    """The ``Host`` header names somebody else."""

    status = 403
    code = 'host_not_served'


class CrossSite(Refusal):
    """Another site's page sent this form."""

    status = 403
    code = 'cross_site'


class NotFromHere(Refusal):
    """Only a person at this machine may do this."""

    status = 403
    code = 'not_from_here'


class NotFound(Refusal):
    """Nothing lives at this path."""

    status = 404
    code = 'not_found'


class MethodNotAllowed(Refusal):
    """The path exists, the method does not."""

    status = 405
    code = 'method_not_allowed'


class NotDone(Refusal):
    """The job's result is asked for and there is none, or not yet."""

    status = 409
    code = 'not_done'


class AlreadyEnded(Refusal):
    """A job that has ended cannot be cancelled."""

    status = 409
    code = 'already_ended'


class UploadTooLarge(Refusal):
    """More bytes than ``MaxContentLength``; ``details``: ``limit`` in MB."""

    status = 413
    code = 'upload_too_large'


class TooManyPixels(Refusal):
    """More pixels than ``MaxPixels``; ``details``: ``pixels`` and ``limit`` in millions."""

    status = 413
    code = 'too_many_pixels'


class UnreadableImage(Refusal):
    """The bytes are no image this build can read."""

    status = 415
    code = 'unreadable_image'


class EmptyImage(UnreadableImage):
    """The file holds no bytes."""

    code = 'empty_image'


class DamagedImage(UnreadableImage):
    """The bytes begin like an image but break off or contradict themselves."""

    code = 'damaged_image'


class UnknownKind(UnreadableImage):
    """A picture of a kind that is known by name, and cannot be read; ``details``: ``kind``."""

    code = 'unknown_kind'


class CameraRaw(UnreadableImage):
    """What a camera's sensor has seen, without a photo beside it that is large enough."""

    code = 'camera_raw'


class TooManyRequests(Refusal):
    """More requests than one client may send in a minute."""

    status = 429
    code = 'too_many_requests'
    retry_after = 10


class TooManyWaiting(TooManyRequests):
    """``MaxWaitingPerClient`` jobs of this client are waiting already."""

    code = 'too_many_waiting'


class WrongPasswords(TooManyRequests):
    """This client has guessed too often."""

    code = 'wrong_passwords'
    retry_after = 60


class EngineFailed(Refusal):
    """The engine broke; the log has the traceback."""

    code = 'engine_failed'


class UnusablePicture(EngineFailed):
    """The model gave black frames, or none that can be shown."""

    code = 'unusable_picture'


class Crashed(EngineFailed):
    """The program came to an end while it worked on this job, as often as a job is tried."""

    code = 'crashed'


class ResultTooLarge(EngineFailed):
    """The files are larger than what goes through the broker; ``details``: ``limit`` in MB."""

    code = 'result_too_large'


class PhotoGone(EngineFailed):
    """Somebody has taken the job's photo away."""

    code = 'photo_gone'


class Unavailable(Refusal):
    """Not now; trying again later may help."""

    status = 503
    code = 'unavailable'
    retry_after = 60


class QueueFull(Unavailable):
    """``MaxWaiting`` jobs are waiting already."""

    code = 'queue_full'


class EngineUnavailable(Unavailable):
    """The engine asked for cannot work here; ``details``: ``engine``, ``reason`` (a text)."""

    code = 'engine_unavailable'


class OutOfMemory(Unavailable):
    """The machine's or the GPU's memory does not suffice."""

    code = 'out_of_memory'


class NoMemoryForText(OutOfMemory):
    """What reads a text that was never read does not fit beside the rest; ``details``: ``needed``, ``there`` in GB."""

    code = 'no_memory_for_text'


class DiskFull(Unavailable):
    """No room, or no permission, to write the upload or the result."""

    code = 'disk_full'


class ShuttingDown(Unavailable):
    """The program is ending."""

    code = 'shutting_down'


class BrokerAway(Unavailable):
    """The broker, which keeps the jobs, does not answer."""

    code = 'broker_away'
    retry_after = 5


class BrokerRefuses(BrokerAway):
    """The broker answers, and takes nothing new: it is full, or may be read only."""

    code = 'broker_refuses'
    retry_after = 60


class NotListening(Unavailable):
    """This process receives no messages of the broker; it tries to."""

    code = 'not_listening'
    retry_after = 5


class BadRecord(Unavailable):
    """What is kept of a job, or of a worker, is not understood; another version may have written it."""

    code = 'bad_record'


class TooManyStreams(Unavailable):
    """Enough connections are kept open already; polling works just as well."""

    code = 'too_many_streams'
    retry_after = 5


class Cancelled(Exception):  # noqa: N818
    """Raised inside engines and encoders when the job is no longer wanted."""


def kinds(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    """
    Yield every class of refusals.

    :param kind: where to begin
    :type kind: type[Refusal]
    :yield: the class, then all below it
    :ytype: type[Refusal]
    """
    yield kind
    for child in kind.__subclasses__():
        yield from kinds(child)
