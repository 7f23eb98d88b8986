#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the cells of ``turn_live_photos.ipynb`` call, in Google Colab and in any Jupyter: photos to clips without a server,
and, for those who want it, the page beside the notebook. What has to be installed first is imported when it is used.

Libraries: IPython; Colab's own, and ipywidgets, where they are there.
"""

import gc
import io
import os
import secrets
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from IPython.display import HTML, DisplayHandle, FileLink, Image, Video, display

from modules import VERSION, configuration, errors, i18n
from modules.configuration import ROOT
from modules.i18n import Text, text
from modules.install import additions, dependencies
from modules.install.environment import Failure
from modules.notebook.program import Program, ProgramFailed

if TYPE_CHECKING:
    import numpy

    from modules.clips.animator import Animator
    from modules.progress import Progress, StopIfCancelled
    from modules.request import AnimationRequest

#: shown where nobody has chosen a photo
EXAMPLE = ROOT / 'docs' / 'photo.jpg'

#: in Colab this is where everybody mounts it, because notebooks run in /content
DRIVE = Path('drive')
ON_DRIVE = Path('MyDrive', 'turn-live-photos', 'models')

#: the tunnel's library, which the program does without until somebody wants a tunnel
NGROK = ROOT / 'requirements-tunnel.txt'
TOKEN = 'NGROK_AUTHTOKEN'  # noqa: S105

#: pixels between the edges of the frame that shows the page
PAGE_HEIGHT = 960

#: about as many pixels has the picture of a photo
SMALL = 512 * 512

#: a movie stays within the notebook
SHAPE = 'max-width: 100%; max-height: 640px'

#: seconds between two pictures of a clip that forms
PICTURES = 1.0


class Stopped(Exception):
    """
    A cell cannot go on, for a reason in words, which stand where a traceback would.

    :param words: the reason, in the reader's language
    :type words: str
    """

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


@dataclass(frozen = True)
class Clip:
    """A clip that was made."""

    request: 'AnimationRequest'
    #: a folder of its frames, of which other files are made; goes with the clip
    kept: Path
    #: format → file
    files: dict[str, Path]


def colab() -> SimpleNamespace | None:
    """
    What Google Colab offers.

    :return: its rooms by their names; None elsewhere
    :rtype: SimpleNamespace | None
    """
    try:
        from google.colab import drive, files, output, userdata
    except ImportError:
        return None
    return SimpleNamespace(drive = drive, files = files, output = output, userdata = userdata)


def language() -> str:
    """
    The reader's language: in Colab the browser's, for every machine there speaks English.

    :return: one of :data:`modules.i18n.LANGUAGES`
    :rtype: str
    """
    found = colab() and colab().output.eval_js('navigator.language', timeout_sec = 10)
    return ('zh' if found.startswith('zh') else 'en') if found else i18n.of_this_machine()


def get_ready() -> 'Studio':
    """
    Install what lacks, and nothing else.

    :return: where clips are made
    :rtype: Studio
    :raises Stopped: when something cannot be had
    """
    reader, has_gpu = language(), dependencies.sees_gpu()
    path = ROOT / 'configuration.ini'
    try:
        options = configuration.read(path if path.is_file() else None)
    except configuration.ConfigurationError as error:
        raise Stopped('\n'.join(problem.in_(reader) for problem in error.problems)) from None
    studio = Studio(options, reader, has_gpu)
    needed = ROOT / ('requirements.txt' if has_gpu else 'requirements-core.txt')
    studio.install(additions.lacking(needed))
    studio.say(text('notebook.ready_gpu' if has_gpu else 'notebook.ready', version = VERSION))
    return studio


class Studio:
    """
    Where photos become clips.

    :param options: the configuration
    :type options: configuration.Configuration
    :param language: of what is said
    :type language: str
    :param has_gpu: whether Stable Video Diffusion is worth its model
    :type has_gpu: bool
    """

    def __init__(self, options: configuration.Configuration, language: str, has_gpu: bool):
        self.options = options
        self.language = language
        self.has_gpu = has_gpu
        self.photos: list[Path] = []
        self.clips: list[Clip] = []
        self.program: Program | None = None
        self._home = options.store.outputs_home / 'notebook'
        #: what photos are chosen with, where choosing does not wait
        self.upload = None
        self._animator: Animator | None = None

    def say(self, words: Text) -> None:
        """
        Tell the reader something.

        :param words: what
        :type words: Text
        """
        print(words.in_(self.language), flush = True)  # noqa: T201

    def install(self, wanted: list[str]) -> None:
        """
        Install libraries, and leave alone what is there, PyTorch above all.

        :param wanted: what lacks, as pip understands it
        :type wanted: list[str]
        :raises Stopped: when pip fails
        """
        if not wanted:
            return
        self.say(text('notebook.installing', names = ', '.join(wanted)))
        try:
            additions.add(wanted, self.options.installation)
        except Failure as failure:
            raise Stopped(failure.words.in_(self.language)) from None

    def fetch_model(self, on_drive: bool = False) -> None:
        """
        Fetch the model of Stable Video Diffusion where it can be used; a model that is here is not fetched again.

        :param on_drive: keep it on Google Drive, where the next session finds it
        :type on_drive: bool
        """
        from modules.commands import download
        if not self.has_gpu:
            self.say(text('notebook.no_gpu'))
            return
        if on_drive:
            self._move_to_drive()
        if download.run(self.options, self.language):
            self.say(text('notebook.no_model'))

    def _move_to_drive(self) -> None:
        if not colab():
            self.say(text('notebook.no_drive'))
            return
        colab().drive.mount(str(DRIVE.resolve()))
        store = replace(self.options.store, models_home = DRIVE.resolve() / ON_DRIVE)
        self.options = replace(self.options, store = store)
        self._animator = None

    @property
    def animator(self) -> 'Animator':
        """What does the work; made when it is first asked for, after everything is installed."""
        if not self._animator:
            from modules.clips.animator import Animator
            from modules.engines import Engines
            from modules.photos.reader import PhotoReader
            reader = PhotoReader(self.options.web.max_pixels)
            self._animator = Animator(self.options, reader, Engines(self.options))
        return self._animator

    def choose(self, path: str = '') -> None:
        """
        Let the reader choose photos: in Colab by its own upload, elsewhere by ipywidgets'.

        :param path: a photo that lies on this machine, or on a mounted drive
        :type path: str
        :raises Stopped: when it cannot be read
        """
        self.photos, self.upload, folder = [], None, self._home / 'photos'
        if path.strip():
            self.photos = [Path(path.strip()).expanduser()]
        elif colab():
            self.photos = [Path(name) for name in colab().files.upload(str(folder))]
        elif upload := _upload_widget():
            self.upload = upload
            display(upload)
            self.say(text('notebook.choose'))
            return
        self._look()

    def _look(self) -> None:
        """Show the photos as the product sees them: upright, whatever their format."""
        if not self.photos:
            self.say(text('notebook.example'))
            self.photos = [EXAMPLE]
        from modules.photos.reader import PhotoReader
        reader, good, bad = PhotoReader(self.options.web.max_pixels), [], []
        for photo in self.photos:
            try:
                reader.check(photo)
                display(Image(reader.show(photo, SMALL), format = 'jpeg'))
                good.append(photo)
            except errors.Refusal as refusal:
                bad.append(f'{photo.name}: {refusal.text.in_(self.language)}')
            except OSError as error:
                bad.append(f'{photo}: {error.strerror or error}')
        self.photos = good
        if not good:
            raise Stopped('\n'.join(bad))
        if bad:
            print(*bad, sep = '\n', flush = True)  # noqa: T201

    def _take_upload(self) -> None:
        """What was chosen since, where choosing does not wait."""
        if self.upload and self.upload.value:
            folder = self._home / 'photos'
            folder.mkdir(parents = True, exist_ok = True)
            self.photos = []
            for file in self.upload.value:
                self.photos.append(folder / Path(file['name']).name)
                self.photos[-1].write_bytes(file['content'])
        if self.upload or not self.photos:
            self._look()

    def animate(self, **fields: object) -> None:
        """
        Make a clip of every photo, and show it.

        :param fields: as ``POST /generate`` has them
        :type fields: object
        :raises Stopped: when a field, the photo or the engine will not do
        """
        from modules import encoders
        from modules.commands import animate
        from modules.request import draw_seed, parse_request, safe_stem
        self._take_upload()
        self.clips, draws = [], not str(fields.get('seed', '')).strip()
        with self._plainly():
            wanted = parse_request([(name, str(value)) for name, value in fields.items()], Path(),
                                   '', self.animator.engines.preferred)
            settled = self.animator.with_defaults(wanted)
            self._tell_engine(wanted.engine, settled.engine)
            extension = encoders.TABLE[wanted.format].extension
            self._home.mkdir(parents = True, exist_ok = True)
            targets = animate.outputs(self.photos, self._home, extension)
            for number, (photo, path) in enumerate(zip(self.photos, targets, strict = False)):
                seed = draw_seed() if number and draws else wanted.seed
                stem = safe_stem(photo.name)
                request = replace(settled, photo = photo, stem = stem, seed = seed)
                self.clips.append(self._make(request, path))

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """A refusal is a sentence."""
        try:
            yield
        except errors.Refusal as refusal:
            raise Stopped(refusal.text.in_(self.language)) from None

    def _tell_engine(self, asked: str, chosen: str) -> None:
        reason = self.animator.engines.reasons().get('svd')
        if asked == 'auto' and chosen == 'camera' and reason:
            self.say(text('notebook.camera', reason = reason))

    def _make(self, request: 'AnimationRequest', path: Path) -> Clip:
        from modules import terminal
        from modules.jobs.work import interruptible
        clip = Clip(request, Path(tempfile.mkdtemp(prefix = '.', dir = self._home)), {})
        weakref.finalize(clip, shutil.rmtree, clip.kept, ignore_errors = True)
        shown = DisplayHandle()
        shown.display(HTML(''))

        def work(stop_if_cancelled: 'StopIfCancelled') -> Text | None:
            with terminal.progress_bar(
                    request.stem, True, language = self.language, file = sys.stdout) as move:
                return self.animator.animate(
                    request, made, _seen(move, shown), stop_if_cancelled, keep = clip.kept)

        made = clip.kept / 'clip'
        note = interruptible(str(request.photo), work)
        clip.files[request.format] = made.replace(path)
        shown.update(self._moving(clip))
        self.say(text('cli.written', path = path, seed = request.seed, engine = request.engine))
        if note:
            self.say(note)
        return clip

    def _moving(self, clip: Clip) -> Video:
        """
        A clip as a notebook shows it: a movie of the same frames, whatever was asked for. Every browser plays it, and
        a GIF would swell the notebook tenfold.
        """
        movie = clip.files.get('mp4') or self._encoded(clip, 'mp4')
        return Video(
            str(movie),
            embed = True,
            mimetype = 'video/mp4',
            html_attributes = f'controls autoplay loop muted playsinline style="{SHAPE}"')

    def _encoded(self, clip: Clip, format_name: str) -> Path:
        path = clip.kept / 'other'
        self.animator.encode(replace(clip.request, format = format_name), clip.kept, path)
        return path

    def _file(self, clip: Clip, format_name: str) -> Path:
        """A clip's file, made of its frames where it is not there yet."""
        from modules import encoders
        from modules.commands import animate
        if format_name not in clip.files:
            extension = encoders.TABLE[format_name].extension
            path = next(animate.outputs([clip.request.photo], self._home, extension))
            clip.files[format_name] = self._encoded(clip, format_name).replace(path)
        return clip.files[format_name]

    def download(self, format_name: str = '') -> None:
        """
        Bring the clips to the reader's own machine.

        :param format_name: another format than the one they were made in; no engine is needed for it
        :type format_name: str
        :raises Stopped: when there is none
        """
        if not self.clips:
            raise Stopped(text('notebook.no_clip').in_(self.language))
        for clip in self.clips:
            with self._plainly():
                path = self._file(clip, format_name or clip.request.format)
            if colab():
                colab().files.download(str(path))
            else:
                display(FileLink(os.path.relpath(path)))

    def page(self, where: str) -> None:
        """
        Show the whole page, served beside the notebook; what was shown before ends.

        :param where: ``notebook``, ``ngrok`` for a public address, or ``off``
        :type where: str
        :raises Stopped: when it cannot be served
        """
        if self.program:
            self.program.stop()
            self.program = None
            self.say(text('notebook.page_ended'))
        if where == 'off':
            return
        self._make_room()
        try:
            if where == 'ngrok':
                self._open_to_the_world()
            else:
                self._open_here()
        except ProgramFailed as failure:
            words = text('notebook.page_failed', said = failure)
            raise Stopped(words.in_(self.language)) from None

    def _make_room(self) -> None:
        """The page's engine needs the memory that the notebook's has taken."""
        self._animator = None
        gc.collect()
        if torch := sys.modules.get('torch'):
            torch.cuda.empty_cache()

    def _open_here(self) -> None:
        from modules.web.access.guards import COLAB_HOSTS
        hosts = (*self.options.web.allowed_hosts, *(COLAB_HOSTS if colab() else ()))
        self.program = Program(self._served(allowed_hosts = hosts))
        if not colab():
            url = f'http://localhost:{self.program.port}/'
            display(HTML(f'<a href="{url}" target="_blank">{url}</a>'))
            return
        output, words = colab().output, text('notebook.page_tab').in_(self.language)
        output.serve_kernel_port_as_window(
            self.program.port, anchor_text = words, skip_warning = True)
        output.serve_kernel_port_as_iframe(self.program.port, height = str(PAGE_HEIGHT))

    def _open_to_the_world(self) -> None:
        token = _token()
        if not token:
            raise Stopped(text('notebook.no_token').in_(self.language))
        self.install(additions.lacking(NGROK))
        password = self.options.web.password or secrets.token_urlsafe(9)
        self.program = Program(
            self._served(password = password), '--ngrok', environment = {TOKEN: token})
        self.say(text('notebook.public', url = self.program.public_url, password = password))

    def _served(self, **web: object) -> configuration.Configuration:
        return replace(
            self.options, web = replace(self.options.web, host = '127.0.0.1', port = 0, **web))


def _upload_widget() -> object | None:
    """What lets a reader choose files outside Colab; None where ipywidgets is not installed."""
    try:
        from ipywidgets import FileUpload
    except ImportError:
        return None
    return FileUpload(multiple = True)


def _token() -> str:
    """ngrok's, from the environment or Colab's secrets; empty where there is none that this notebook may read."""
    if os.environ.get(TOKEN) or not colab():
        return os.environ.get(TOKEN, '')
    secret = colab().userdata
    try:
        return secret.get(TOKEN)
    except (secret.SecretNotFoundError, secret.NotebookAccessError, secret.TimeoutException):
        return ''


def _seen(move: Callable[['Progress'], None], shown: DisplayHandle) -> Callable[['Progress'], None]:
    """Moves a bar, and shows now and then how the clip forms."""
    last = 0.0

    def see(progress: 'Progress') -> None:
        nonlocal last
        move(progress)
        if progress.picture is not None and time.monotonic() > last + PICTURES:
            last = time.monotonic()
            shown.update(Image(_picture(progress.picture), format = 'jpeg'))

    return see


def _picture(frame: 'numpy.ndarray') -> bytes:
    from modules.clips.animator import small_picture
    content = io.BytesIO()
    small_picture(frame, content)
    return content.getvalue()
