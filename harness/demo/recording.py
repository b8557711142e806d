"""Make the committed recording: `python -m harness.demo.recording FILE`, or `make recording`.

The conversations of `harness.demo.conversations`, made against the model server with the model of the
demo, through `harness record` as anybody would run it.
"""

import os
import sys
from pathlib import Path

from harness.demo.model_server import PACED, ModelServer
from harness.demo.tour import run


def make(path: Path, layers: int = PACED) -> None:
    """Record all conversations into a new file; one that is there is replaced once the new one is whole."""
    fresh = path.with_suffix(".new.db")
    fresh.unlink(missing_ok=True)
    with ModelServer(layers) as server:
        program = [sys.executable, "-m", "harness.demo.sdks", os.devnull]
        run(["record", "--upstream", server.url, "--db", str(fresh), "--", *program], print)
    fresh.replace(path)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
