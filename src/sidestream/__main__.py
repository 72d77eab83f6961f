"""`python -m sidestream` is the command `sidestream`."""

import sys

from sidestream.cli import main

sys.exit(main())
