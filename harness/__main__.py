"""`python -m harness` is the command `harness`."""

import sys

from harness.cli.app import main

sys.exit(main())
