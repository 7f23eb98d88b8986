#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Reads forms with photos. Werkzeug's own parser takes a form for empty where a file's name is not UTF-8, or where its
end is missing; this one decodes the name, or says what is wrong.

Libraries: Flask, Werkzeug.
"""

import contextlib
import io
import re
from collections.abc import Iterator
from typing import IO

import flask
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser, MultiPartParser
from werkzeug.sansio.multipart import (
    BLANK_LINE_RE,
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
    State,
)

from modules import errors
from modules.web import names

#: bytes read at once
CHUNK = 1 << 16

#: a file's name in the head of its part
NAME = re.compile(rb'filename="[^"]*"?')


class FormReader(FormDataParser):
    """The reader of :class:`Request`."""

    def parse(self,
              stream: IO[bytes],
              mimetype: str,
              content_length: int | None,
              options: dict[str, str] | None = None) -> tuple[IO[bytes], MultiDict, MultiDict]:
        if mimetype != 'multipart/form-data':
            return super().parse(stream, mimetype, content_length, options)
        boundary = (options or {}).get('boundary', '')
        if not boundary or not boundary.isascii():
            raise errors.MalformedForm
        decoder = Decoder(
            boundary.encode(), self.max_form_memory_size, max_parts = self.max_form_parts)
        fields, files = [], []
        with contextlib.ExitStack() as undo:
            for part, content in self._contents(_events(decoder, stream), content_length, undo):
                if isinstance(part, File):
                    file = FileStorage(content, part.filename, part.name, headers = part.headers)
                    files.append((part.name, file))
                else:
                    charset = MultiPartParser().get_part_charset(part.headers)
                    fields.append((part.name, content.read().decode(charset, 'replace')))
            # whoever asked for the form closes its files
            undo.pop_all()
        return stream, self.cls(fields), self.cls(files)

    def _contents(self, events: Iterator[Event], content_length: int | None,
                  undo: contextlib.ExitStack) -> Iterator[tuple[Field | File, IO[bytes]]]:
        """Yield the parts, each with its content, files on the disk where they are large."""
        parser, limit = MultiPartParser(self.stream_factory), self.max_form_memory_size
        part: Field | File | None = None
        content: IO[bytes] = io.BytesIO()
        for event in events:
            if isinstance(event, File):
                part, content = event, parser.start_file_streaming(event, content_length)
                undo.callback(content.close)
            elif isinstance(event, Field):
                part, content = event, io.BytesIO()
            elif isinstance(event, Data):
                content.write(event.data)
                if isinstance(part, Field) and limit is not None and content.tell() > limit:
                    raise RequestEntityTooLarge
                if part and not event.more_data:
                    content.seek(0)
                    yield part, content


class Request(flask.Request):
    """A request whose forms are read by :class:`FormReader`."""

    form_data_parser_class = FormReader


class Decoder(MultipartDecoder):
    """Werkzeug's decoder, for heads of parts in any encoding."""

    def next_event(self) -> Event:
        if self.state is State.PART and (end := BLANK_LINE_RE.search(self.buffer)):
            head = bytes(self.buffer[:end.start()])
            self.buffer[:end.start()] = b'\n'.join(map(_in_utf8, head.split(b'\n')))
        return super().next_event()


def _events(decoder: Decoder, stream: IO[bytes]) -> Iterator[Event]:
    """Yield the events of a form."""
    has_begun = False
    while True:
        data = stream.read(CHUNK)
        has_begun = has_begun or bool(data)
        if not has_begun:
            # nothing at all is a form without a photo
            return
        decoder.receive_data(data or None)
        try:
            while not isinstance(event := decoder.next_event(), NeedData):
                yield event
                if isinstance(event, Epilogue):
                    return
        except ValueError as error:
            is_cut = decoder.complete and decoder.state is not State.PREAMBLE
            raise (errors.IncompleteForm if is_cut else errors.MalformedForm) from error


def _in_utf8(line: bytes) -> bytes:
    """Return a line of a part's head in UTF-8; a name that cannot be decoded gives way to one that can."""
    text = names.guess_text(line)
    if text is not None and text.encode() == line:
        return line
    # a backslash is the second half of many letters, and some clients double it, as they do a real one
    text = names.guess_text(line.replace(b'\\\\', b'\\'))
    if text is None:
        text = NAME.sub(f'filename="{names.NAMELESS}"'.encode(), line).decode('ascii', 'replace')
    return re.sub(r'\\(?!")', r'\\\\', text).encode()
