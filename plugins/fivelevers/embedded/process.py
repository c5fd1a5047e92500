"""One process of the stack: started under a tether, logged to a file, watched until ready, stopped with its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from fivelevers.embedded import tether
from fivelevers.errors import StackError

GRACE_S = 10.0
_POLL_S = 0.05
_TAIL_LINES = 15


class Process:
    """A command in a process group of its own, which ends with `stop()` or with this process, whichever is first."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._tether = subprocess.Popen(  # noqa: S603 - the commands are the stack's own
                [sys.executable, "-I", "-S", tether.__file__, str(GRACE_S), *command],
                stdin=subprocess.PIPE,  # never written to: its end tells the tether that we are gone
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The command's own process id; StackError when it runs no more."""
        children = children_of(self._tether.pid)
        if not children:
            raise StackError(f"{self.name} is not running; its log is {self.log}")
        return children[0]

    @property
    def alive(self) -> bool:
        return self._tether.poll() is None

    def output(self) -> str:
        """What it has logged since this start (the file keeps what earlier ones logged)."""
        with self.log.open("rb") as stream:
            stream.seek(self._log_start)
            return stream.read().decode(errors="replace")

    def log_tail(self) -> str:
        """The last lines of its log, indented, for an error message."""
        lines = self.output().splitlines()[-_TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (empty)"

    def wait_until(self, ready: Callable[[], bool], limit_s: float) -> None:
        """Return when `ready()` is true; StackError when the process ends before, or when `limit_s` has passed."""
        deadline = time.monotonic() + limit_s
        while not ready():
            if not self.alive:
                raise StackError(self._with_log(f"{self.name} ended while it was starting"))
            if time.monotonic() > deadline:
                raise StackError(self._with_log(f"{self.name} was not ready within {limit_s:g} s"))
            time.sleep(_POLL_S)

    def check(self) -> None:
        """StackError when it has ended without being asked to."""
        if not self.alive:
            raise StackError(self._with_log(f"{self.name} ended on its own (status {self._tether.returncode})"))

    def stop(self) -> None:
        """Ask it to end, wait, kill what is left after the grace period. Stopping twice is fine."""
        self._tether.terminate()
        try:
            self._tether.wait(GRACE_S + 2)
        except subprocess.TimeoutExpired:
            self._tether.kill()
            self._tether.wait()
        if self._tether.returncode < 0:  # the tether did not end by itself: its group may have outlived it
            with suppress(ProcessLookupError):
                os.killpg(self._tether.pid, signal.SIGKILL)
        if self._tether.stdin is not None:
            self._tether.stdin.close()

    def _with_log(self, what: str) -> str:
        return f"{what}; {self.log} ends with:\n{self.log_tail()}"


def children_of(pid: int) -> list[int]:
    """Process ids of the direct children, oldest first."""
    children = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it ended while we looked
                # The second field, the name in parentheses, may hold spaces; the parent's id is two after it.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid:
                    children.append((int(fields[19]), int(entry.name)))
    return [child for _, child in sorted(children)]


def command_line(pid: int) -> str:
    """The command line of a process, words separated by spaces; empty when it has ended."""
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
