#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Stable Video Diffusion through diffusers. Here, in ``wan`` and in ``diffusion`` alone are torch and diffusers imported:
when the engine loads, on the worker.

Libraries: none here.
"""
