#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the cells of ``turn_live_photos.ipynb`` call, in Google Colab and in any Jupyter: photos to clips without a server,
and, for those who want it, the page beside the notebook. What has to be installed first is imported when it is used.

Libraries: none here.
"""

from modules.notebook.studio import get_ready

__all__ = ['get_ready']
