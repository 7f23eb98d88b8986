#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The password: HTTP Basic, of any user, with a limit to guesses.

Libraries: Flask.
"""

import base64
import binascii
import contextlib
import hashlib
import hmac
import logging

from flask import Request

from modules import errors
from modules.web.access import proxies
from modules.web.access.quotas import Limits

logger = logging.getLogger(__name__)


def check_password(asked: Request, password: str, limits: Limits) -> None:
    """
    Refuse a request without the password.

    :param asked: the request
    :type asked: Request
    :param password: the right one
    :type password: str
    :param limits: count guesses
    :type limits: Limits
    :raises errors.PasswordNeeded: without it
    :raises errors.WrongPasswords: after too many guesses
    """
    given = given_password(asked.headers.get('Authorization', ''))
    if given is None:
        raise errors.PasswordNeeded
    client = proxies.client(asked)
    limits.check_guesses(client)
    if not is_same(given, password):
        limits.count_guess(client)
        logger.warning('A wrong password from %s', client or 'this machine')
        raise errors.PasswordNeeded


def given_password(header: str) -> bytes | None:
    """
    Read an ``Authorization`` header (RFC 7617).

    :param header: the header
    :type header: str
    :return: the password, of any user; None where there is none
    :rtype: bytes | None
    """
    scheme, _space, credentials = header.partition(' ')
    if scheme.lower() != 'basic':
        return None
    try:
        _user, colon, password = base64.b64decode(
            credentials.strip(), validate = True).partition(b':')
    except (binascii.Error, ValueError):
        return None
    return password if colon else None


def is_same(given: bytes, password: str) -> bool:
    """
    Compare a password with the right one, in a time that does not depend on either.

    :param given: as it came; in UTF-8, or in Latin-1 as older clients write it
    :type given: bytes
    :param password: the right one
    :type password: str
    :return: whether it is
    :rtype: bool
    """
    spellings = [password.encode()]
    with contextlib.suppress(UnicodeEncodeError):
        spellings.append(password.encode('latin-1'))
    # digests have one length, so that the time does not tell the password's
    found = hashlib.sha256(given).digest()
    return sum(hmac.compare_digest(found, hashlib.sha256(each).digest()) for each in spellings) > 0
