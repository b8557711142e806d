"""Reading in callbacks of the hub: in a process of its own, since the hub's sockets are Locust's."""

import subprocess
import sys

import pytest

from harness.load.child import locust_file

HELD_UP = """
from gevent import monkey
monkey.patch_all()
import socket, sys, time
import gevent
sys.path.insert(0, sys.argv[1])
from stream_hub import HubReader
from harness.load.wire import Answer, Connection

near, far = socket.socketpair()
reader, answer, now_ns = HubReader(), Answer(), time.monotonic_ns()
answer.begin(now_ns, now_ns + 10_000_000_000, 200_000_000)
reading = gevent.spawn(reader.read, Connection(near, None), answer)
gevent.sleep(0.01)
far.send(sys.argv[2].encode())
monkey.get_original("time", "sleep")(0.4)  # the process itself does nothing
reader.sweep(time.monotonic_ns())
far.send(b"cd")
reading.join(5)
print(answer.ending)
"""
HEAD = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab"


@pytest.mark.parametrize(("came", "ending"), [(HEAD, "done"), ("", "stall")])
def test_what_waits_to_be_read_is_no_silence_of_the_server(came: str, ending: str) -> None:
    line = [sys.executable, "-c", HELD_UP, str(locust_file().parent), came]
    done = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout.strip(), done.stderr) == (ending, "")
