"""A process that holds a stack with a stub for LiteLLM, for tests that kill it: `python -m tests.wire.stack_host ARGS`.

`hold STATE_DIR` starts a stack, prints its process ids as JSON and sleeps; anything else is handed to the command line
of fivelevers.
"""

import json
import sys
import time
from pathlib import Path

import fivelevers.embedded.commands
from fivelevers.cli import app
from fivelevers.embedded.interrupt import Interrupted, interruptible
from fivelevers.embedded.process import children_of
from fivelevers.embedded.stack import Stack

STUB = str(Path(__file__).with_name("stub_proxy.py"))


def stub_litellm(config: Path, port: int, workers: int) -> list[str]:
    """In the place of `commands.litellm`."""
    return [sys.executable, STUB, str(port)]


def family(pid: int) -> list[int]:
    """The process and everything below it."""
    return [pid, *(each for child in children_of(pid) for each in family(child))]


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def still_alive(pids: list[int], within_s: float) -> list[int]:
    """Those that are left when the time is over; empty as soon as none is."""
    deadline = time.monotonic() + within_s
    while (left := [pid for pid in pids if lives(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def hold(state_dir: Path) -> None:
    with interruptible(), Stack(state_dir, simulator=False) as stack:
        sys.stdout.write(json.dumps(stack.pids) + "\n")
        sys.stdout.flush()
        time.sleep(600)


if __name__ == "__main__":
    fivelevers.embedded.commands.litellm = stub_litellm
    if sys.argv[1] != "hold":
        app(sys.argv[1:])
    try:
        hold(Path(sys.argv[2]))
    except Interrupted:
        sys.exit(0)
