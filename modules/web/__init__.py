#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What stands before the routes: server, tunnel, access, forms, uploads, files and errors.

Libraries: none here.
"""
