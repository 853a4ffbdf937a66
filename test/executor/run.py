#!/usr/bin/env python3
"""Tests imgapi-executor by itself: run.py PROGRAM.  Prints TAP.

Needs Debian's python3-pil, imagemagick and libvips-tools; no PostgreSQL.
"""
import os
import sys

os.environ["IMGAPI_EXECUTOR"] = os.path.abspath(sys.argv[1])
os.environ["IMGAPI_EXECUTOR_ASAN"] = "1" if "asan" in os.path.basename(sys.argv[1]) else "0"

import tap
import test_formats
import test_resizing
import test_operations
import test_pieces
import test_describe
import test_unpack
import test_limits
import test_process

if len(sys.argv) > 2:
    tap.tests[:] = [t for t in tap.tests if t.__name__ in sys.argv[2:]]
sys.exit(1 if tap.run() else 0)
