"""`harness load --join`: be a worker of a run that another machine has begun."""

import asyncio
import os
import sys
from collections.abc import Sequence

from harness.cli import program
from harness.cli.load_job import place_to_bind
from harness.load.child import join_command


def join_run(place: str, locust_options: Sequence[str] | None) -> int:
    """Work until the run is over; Locust's exit code. BadInput: the place cannot be read.

    Signals are Locust's affair: it ends its part of the run in order.
    """
    host, port = place_to_bind(place)
    print(f"harness load: joining {host}:{port}; API keys come from this environment", file=sys.stderr)
    return asyncio.run(program.run([*join_command(host, port), *(locust_options or ())], os.environ))
