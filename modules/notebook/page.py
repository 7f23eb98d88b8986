#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The whole page, served beside the notebook.

Libraries: IPython; Colab's own, where they are there.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from IPython.display import HTML, display

from modules.configuration import ROOT, Configuration
from modules.i18n import text
from modules.notebook.program import Program, ProgramFailed
from modules.notebook.surroundings import TOKEN, Reader, colab, find_token

#: the tunnel's library, which the program does without until somebody wants a tunnel
NGROK = ROOT / 'requirements-tunnel.txt'

#: pixels between the edges of the frame that shows the page
HEIGHT = 960


class Page:
    """
    Serves the page while it is wanted.

    :param reader: who is shown it
    :type reader: Reader
    :param install: installs what a requirements file names and is not there
    :type install: Callable[[Path], None]
    """

    def __init__(self, reader: Reader, install: Callable[[Path], None]):
        self._reader = reader
        self._install = install
        self.program: Program | None = None

    def close(self) -> None:
        """Stop serving, where something is served."""
        if self.program:
            self.program.stop()
            self.program = None
            self._reader.say(text('notebook.page_ended'))

    def open(self, options: Configuration, is_public: bool) -> None:
        """
        Serve the page and show where it is.

        :param options: the configuration
        :type options: Configuration
        :param is_public: under a public address, with a password; otherwise for this notebook alone
        :type is_public: bool
        :raises modules.notebook.surroundings.Stopped: when it cannot be served
        """
        try:
            if is_public:
                self._open_to_public(options)
            else:
                self._open_here(options)
        except ProgramFailed as failure:
            raise self._reader.stop(text('notebook.page_failed', said = failure)) from None

    def _open_here(self, options: Configuration) -> None:
        from modules.web.access.guards import COLAB_HOSTS
        services = colab()
        hosts = (*options.web.allowed_hosts, *(COLAB_HOSTS if services else ()))
        self.program = Program(_for_this_machine(options, allowed_hosts = hosts))
        if not services:
            url = f'http://localhost:{self.program.port}/'
            display(HTML(f'<a href="{url}" target="_blank">{url}</a>'))
            return
        words = text('notebook.page_tab').in_(self._reader.language)
        services.output.serve_kernel_port_as_window(
            self.program.port, anchor_text = words, skip_warning = True)
        services.output.serve_kernel_port_as_iframe(self.program.port, height = str(HEIGHT))

    def _open_to_public(self, options: Configuration) -> None:
        token = find_token()
        if not token:
            raise self._reader.stop(text('notebook.no_token'))
        self._install(NGROK)
        password = options.web.password or secrets.token_urlsafe(9)
        self.program = Program(
            _for_this_machine(options, password = password),
            '--ngrok',
            environment = {TOKEN: token})
        self._reader.say(
            text('notebook.public', url = self.program.public_url, password = password))


def _for_this_machine(options: Configuration, **web: Any) -> Configuration:
    return replace(options, web = replace(options.web, host = '127.0.0.1', port = 0, **web))
