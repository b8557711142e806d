"""The embedded model server: llama.cpp's own HTTP server on the tiny model, in a process of its own.

`python -m harness.demo.model_server --port 0` prints `listening on http://127.0.0.1:PORT` once it
answers, and ends on SIGINT, SIGTERM or, with `--until-stdin-closes`, with the process that started it.
It speaks the OpenAI protocols (chat, completions, Responses, embeddings, models), Anthropic messages,
and llama.cpp's own `/tokenize`, `/detokenize` and `/health`. Equal requests with a temperature of 0
get equal texts.

`xllamacpp` is imported in that process alone: the server's threads stay with the process that made it.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from types import TracebackType
from typing import Any, Self

from harness.core.errors import BadInput, HarnessError, MissingExtra

MODEL = "tiny-llama"
"""The name under which the server knows its model."""
FAST = 2
"""Layers of the model that tests use: about 4,000 tokens a second on one core."""
PACED = 32
"""Layers of the model that the demo uses: about 3 ms a token on one core; prompts take 0.1 s or more."""
SLOTS = 4
"""Answers that the server writes at the same time."""
CONTEXT = 4096
"""Tokens of one prompt and its answer."""
LISTENING = "listening on "
ENDINGS = (signal.SIGINT, signal.SIGTERM)


class ModelServer:
    """Context manager: the server as a child process, which ends with the context or with this process.

    `url` is its address, without a path. Raises `MissingExtra` without the packages of the extra `demo`,
    `HarnessError` with the server's own words where it does not start.
    """

    def __init__(self, layers: int = FAST, port: int = 0) -> None:
        self.url = ""
        self.options = ["--until-stdin-closes", "--layers", str(layers), "--port", str(port)]

    def __enter__(self) -> Self:
        with TemporaryFile(mode="w+") as said:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "harness.demo.model_server", *self.options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
            assert self.child.stdout
            self.url = self.child.stdout.readline().removeprefix(LISTENING).strip()
            if not self.url:
                self.child.communicate()
                said.seek(0)
                raise HarnessError(
                    f"the model server did not start: {said.read().strip().rpartition('\n')[2]}"
                )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.child.communicate()  # closes its stdin, which ends it


def parameters(model: Path, port: int) -> Any:
    """How llama.cpp is to serve the model: on one thread, with embeddings beside generation."""
    import xllamacpp  # noqa: PLC0415  # nothing but this process may load it

    found = xllamacpp.CommonParams()
    found.model.path = str(model)
    found.model_alias = {MODEL}
    found.port = port
    found.n_parallel = SLOTS
    found.n_ctx = CONTEXT * SLOTS
    found.cpuparams.n_threads = found.cpuparams_batch.n_threads = 1
    found.embedding = True
    found.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    found.use_jinja = True
    found.warmup = False
    found.verbosity = 0
    return found


def start(layers: int, port: int) -> Any:
    """Make the model, load it and serve it; the file is gone when this returns."""
    try:
        import xllamacpp  # noqa: PLC0415

        from harness.demo.tiny_model import Shape, write_model  # noqa: PLC0415  # needs the extra as well
    except ImportError as error:
        raise MissingExtra("the embedded model server", "demo") from error
    with TemporaryDirectory(prefix="harness-model-") as folder:
        path = Path(folder) / "tiny.gguf"
        write_model(path, Shape(layers=layers, context=CONTEXT))
        try:
            return xllamacpp.Server(parameters(path, port))
        except RuntimeError as error:
            raise BadInput(f"cannot listen on 127.0.0.1:{port}: is the port in use?") from error


def end_with_stdin() -> None:
    """From a thread of its own, end this process when the other end of stdin is gone."""

    def read_to_the_end() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=read_to_the_end, daemon=True).start()


def main() -> int:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="python -m harness.demo.model_server", description=__doc__)
    parser.add_argument(
        "--port", type=int, choices=range(65536), metavar="0-65535", default=0, help="0 picks a free one"
    )
    parser.add_argument("--layers", type=int, default=FAST, help="more layers make slower tokens")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the parent process")
    options = parser.parse_args()
    # Blocked before the server's threads start, which inherit it: a signal that reached one of them
    # would not wake this thread.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        server = start(options.layers, options.port)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{LISTENING}{server.listening_address}", flush=True)
    if options.until_stdin_closes:
        end_with_stdin()
    signal.sigwait(ENDINGS)
    os._exit(0)  # the server's destructor would wait for clients that are still connected


if __name__ == "__main__":
    sys.exit(main())
