#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Stable Video Diffusion through diffusers. The only rooms that use torch and diffusers, and they import them when
the engine loads, on the worker.

Libraries: none here.
"""
