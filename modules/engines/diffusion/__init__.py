#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What all models of diffusers share: devices, memory, loading, compiling, decoding, previews.

Libraries: none here.
"""
