#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The photos that the reader chooses.

Libraries: IPython; Colab's own, and ipywidgets, where they are there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.display import Image, display

from modules import errors
from modules.configuration import ROOT
from modules.i18n import text
from modules.notebook.surroundings import Reader, Stopped, colab

if TYPE_CHECKING:
    from ipywidgets import FileUpload

#: shown where nobody has chosen a photo
EXAMPLE = ROOT / 'docs' / 'photo.jpg'

#: about how many pixels a shown photo has
SMALL = 512 * 512


class Chooser:
    """
    Lets the reader choose photos, and shows them.

    :param reader: who is shown them
    :type reader: Reader
    :param folder: uploads are kept here
    :type folder: Path
    :param max_pixels: the most that a photo may have; 0 is no limit
    :type max_pixels: int
    """

    def __init__(self, reader: Reader, folder: Path, max_pixels: int):
        self._reader = reader
        self._folder = folder
        self._max_pixels = max_pixels
        self.photos: list[Path] = []
        #: what photos are chosen with, where choosing does not wait
        self.upload: FileUpload | None = None

    def choose(self, path: str = '') -> None:
        """
        Let the reader choose photos: in Colab by its own upload, elsewhere by ipywidgets'.

        :param path: a photo that lies on this machine, or on a mounted drive
        :type path: str
        :raises Stopped: when it cannot be read
        """
        self.photos, self.upload = [], None
        if path.strip():
            self.photos = [Path(path.strip()).expanduser()]
        elif services := colab():
            self.photos = [Path(name) for name in services.files.upload(str(self._folder))]
        elif upload := _make_upload():
            self.upload = upload
            display(upload)
            self._reader.say(text('notebook.choose'))
            return
        self._show()

    def chosen(self) -> list[Path]:
        """
        Take what was chosen since, where choosing does not wait.

        :return: the photos, all of which can be read
        :rtype: list[Path]
        :raises Stopped: when none can
        """
        if self.upload and self.upload.value:
            self._folder.mkdir(parents = True, exist_ok = True)
            self.photos = [self._save(file) for file in self.upload.value]
        if self.upload or not self.photos:
            self._show()
        return self.photos

    def _save(self, file: Mapping[str, Any]) -> Path:
        path = self._folder / Path(file['name']).name
        path.write_bytes(file['content'])
        return path

    def _show(self) -> None:
        """Show the photos as the product sees them: upright, whatever their format."""
        if not self.photos:
            self._reader.say(text('notebook.example'))
            self.photos = [EXAMPLE]
        from modules.photos.reader import PhotoReader
        reader, good, bad = PhotoReader(self._max_pixels), [], []
        for photo in self.photos:
            try:
                reader.check(photo)
                display(Image(reader.show(photo, SMALL), format = 'jpeg'))
                good.append(photo)
            except errors.Refusal as refusal:
                bad.append(f'{photo.name}: {refusal.text.in_(self._reader.language)}')
            except OSError as error:
                bad.append(f'{photo}: {error.strerror or error}')
        self.photos = good
        if not good:
            raise Stopped('\n'.join(bad))
        if bad:
            print(*bad, sep = '\n', flush = True)  # noqa: T201


def _make_upload() -> 'FileUpload | None':
    """Make what lets a reader choose files outside Colab; None where ipywidgets is not installed."""
    try:
        from ipywidgets import FileUpload
    except ImportError:
        return None
    return FileUpload(multiple = True)
