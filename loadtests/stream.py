"""A Locust user that streams: `harness load` runs it, and so does plain `locust -f`.

    locust -f loadtests/stream.py --headless -u 20 -t 60s --host http://127.0.0.1:8000 --model NAME

Under `harness load` a folder says what to do (`harness.load.folder`). Without one, a few options say
which requests to make, and everything else is Locust's: its users are the concurrency, `-t`, the web
UI and its Stop button work as ever, also with `--processes` and on several machines.
"""

from typing import Any

from gevent.hub import get_hub
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner
from locust.user.task import LOCUST_STATE_STOPPING
from stream_options import add_options, plan_of_options
from stream_roles import Local, Master, Remote, Role, end_with_parent, handle_ctrl_c

from harness.load.plan import Open
from harness.load.wire import Kept

roles: list[Role] = []
"""The role of this process, once Locust has told which runner it has."""


class StreamUser(User):
    """A user of a closed loop; of an open loop, the first one sends what is due, and the others go."""

    def on_start(self) -> None:
        """Nothing is connected yet."""
        self.kept = Kept()

    def on_stop(self) -> None:
        """Let go of the connections."""
        self.kept.close()

    @task
    def stream(self) -> None:
        """Make calls until there are no more."""
        worker = roles[0].worker
        if worker is not None:
            loop = worker.plan.loop
            if isinstance(loop, Open):
                worker.open_loop()
            else:
                worker.await_turn(loop)
                worker.closed_loop(self.kept, lambda: self._state == LOCUST_STATE_STOPPING)
        raise StopUser


@events.init_command_line_parser.add_listener
def options(parser: LocustArgumentParser) -> None:
    """Say which requests to make where no folder does."""
    add_options(parser)


@events.init.add_listener
def begin(environment: Environment, runner: Any, **_: Any) -> None:
    """Take up the role of this process."""
    get_hub().loop.update_now()  # else `-t` counts from before all that was imported
    if isinstance(runner, WorkerRunner):
        roles[:] = [Remote(environment)]
    elif isinstance(runner, MasterRunner):
        roles[:] = [Master(environment, plan_of_options)]
    else:
        roles[:] = [Local(environment, plan_of_options)]
    get_hub().loop.update_now()  # else timers count from before the imports, and `-t 1s` may be over at once
    handle_ctrl_c()
    end_with_parent(environment)
    environment.events.test_start.add_listener(lambda **_: roles[0].started())
    environment.events.test_stopping.add_listener(lambda **_: roles[0].stopping())
    environment.events.quitting.add_listener(lambda **_: roles[0].quitting())
