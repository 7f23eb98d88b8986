#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Wan, an image-to-video model that takes a text. What video models share is in :mod:`modules.engines.diffusion`.

Libraries: none here.
"""
