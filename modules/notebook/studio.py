#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the cells call, one method for each.

Libraries: Colab's own, where they are there.
"""

import gc
import sys
from dataclasses import replace
from pathlib import Path

from modules import VERSION, configuration
from modules.configuration import ROOT, Configuration
from modules.engines.models import MAIN, MODELS
from modules.i18n import text
from modules.install import additions, dependencies
from modules.install.environment import Failure
from modules.notebook.clips import ClipMaker
from modules.notebook.page import Page
from modules.notebook.photos import Chooser
from modules.notebook.surroundings import Reader, Stopped, colab, find_language

#: in Colab this is where everybody mounts it, because notebooks run in /content
DRIVE = Path('drive')
ON_DRIVE = Path('MyDrive', 'turn-live-photos', 'models')


def get_ready() -> 'Studio':
    """
    Install what lacks, and nothing else.

    :return: where clips are made
    :rtype: Studio
    :raises modules.notebook.surroundings.Stopped: when something cannot be had
    """
    language, has_gpu = find_language(), dependencies.sees_gpu()
    path = ROOT / 'configuration.ini'
    try:
        options = configuration.read(path if path.is_file() else None)
    except configuration.ConfigurationError as error:
        raise Stopped('\n'.join(problem.in_(language) for problem in error.problems)) from None
    studio = Studio(options, language, has_gpu)
    studio.install(ROOT / ('requirements.txt' if has_gpu else 'requirements-core.txt'))
    studio.reader.say(
        text('notebook.ready_gpu' if has_gpu else 'notebook.ready', version = VERSION))
    return studio


class Studio:
    """
    Where photos become clips.

    :param options: the configuration
    :type options: Configuration
    :param language: of the reader
    :type language: str
    :param has_gpu: whether Stable Video Diffusion is worth its model
    :type has_gpu: bool
    """

    def __init__(self, options: Configuration, language: str, has_gpu: bool):
        self.options = options
        self.reader = Reader(language)
        self._has_gpu = has_gpu
        self._folder = options.store.outputs_home / 'notebook'
        self.chooser = Chooser(self.reader, self._folder / 'photos', options.web.max_pixels)
        self.maker = ClipMaker(options, self.reader, self._folder)
        self.served = Page(self.reader, self.install)

    def install(self, requirements: Path) -> None:
        """
        Install libraries that lack, and leave alone what is there, PyTorch above all.

        :param requirements: the file that names them
        :type requirements: Path
        :raises modules.notebook.surroundings.Stopped: when pip fails
        """
        wanted = additions.find_missing(requirements)
        if not wanted:
            return
        self.reader.say(text('notebook.installing', names = ', '.join(wanted)))
        try:
            additions.install_missing(wanted, self.options.installation)
        except Failure as failure:
            raise self.reader.stop(failure.words) from None

    def fetch_model(self, on_drive: bool = False, model: str = MAIN.key) -> None:
        """
        Fetch the models: the small ones, and a video model where it can be used. What is here is not fetched again.

        :param on_drive: keep it on Google Drive, where the next session finds it
        :type on_drive: bool
        :param model: the video model, one of :data:`modules.engines.models.MODELS`
        :type model: str
        """
        from modules.commands import download
        if on_drive and self._has_gpu:
            self._move_to_drive()
        for small in MODELS.values():
            if small.announce and small.announce(self.options):
                download.fetch(self.options, self.reader.language, model = small)
        if not self._has_gpu:
            self.reader.say(text('notebook.no_gpu'))
            return
        if download.fetch(self.options, self.reader.language, model = MODELS[model]):
            self.reader.say(text('notebook.no_model'))

    def _move_to_drive(self) -> None:
        services = colab()
        if not services:
            self.reader.say(text('notebook.no_drive'))
            return
        services.drive.mount(str(DRIVE.resolve()))
        store = replace(self.options.store, models_home = DRIVE.resolve() / ON_DRIVE)
        self.options = replace(self.options, store = store)
        self.maker.use(self.options)

    def choose(self, path: str = '') -> None:
        """
        Let the reader choose photos.

        :param path: a photo that lies on this machine, or on a mounted drive
        :type path: str
        :raises modules.notebook.surroundings.Stopped: when it cannot be read
        """
        self.chooser.choose(path)

    def animate(self, **fields: object) -> None:
        """
        Make a clip of every photo, and show it.

        :param fields: as ``POST /generate`` has them
        :type fields: object
        :raises modules.notebook.surroundings.Stopped: when a field, a photo or the engine will not do
        """
        self.maker.animate(self.chooser.chosen(), fields)

    def download(self, format_name: str = '') -> None:
        """
        Bring the clips to the reader's own machine.

        :param format_name: another format than the one they were made in; no engine is needed for it
        :type format_name: str
        :raises modules.notebook.surroundings.Stopped: when there is none
        """
        self.maker.download(format_name)

    def page(self, where: str) -> None:
        """
        Show the whole page, served beside the notebook; what was shown before ends.

        :param where: ``notebook``, ``ngrok`` for a public address, or ``off``
        :type where: str
        :raises modules.notebook.surroundings.Stopped: when it cannot be served
        """
        self.served.close()
        if where == 'off':
            return
        # the page's engine needs the memory that the notebook's has taken
        self.maker.free_engine()
        gc.collect()
        if torch := sys.modules.get('torch'):
            torch.cuda.empty_cache()
        self.served.open(self.options, is_public = where == 'ngrok')
