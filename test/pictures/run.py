#!/usr/bin/python3
"""
Tests what comes out of the running server (PGHOST …), picture by picture,
beside what others make of the same.  Prints TAP.

	test/pictures/run.py [PART OF A NAME …]

Needs Debian's python3-pil, python3-numpy, python3-psycopg2, imagemagick,
libheif-examples, libimage-exiftool-perl and libgs-common (for its profiles).
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "executor")]

import server
import tap

server.start()
try:
    import test_matrix
    import test_output
    import test_contract
    import test_orientation
    import test_facts
    import test_adjustments
    import test_named

    if len(sys.argv) > 1:
        tap.tests[:] = [t for t in tap.tests if any(part in t.__doc__ for part in sys.argv[1:])]
    failed = tap.run()
finally:
    server.stop()
sys.exit(1 if failed else 0)
