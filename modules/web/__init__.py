#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What stands between the server and the routes: the server itself, who may come in, forms and files.

Libraries: none here.
"""
