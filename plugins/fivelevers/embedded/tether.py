"""Ties a command's life to its parent's: `python tether.py GRACE_S COMMAND...`, stdin a pipe that the parent holds.

The command is asked to stop (SIGTERM) when this process is, or when the pipe closes, which is what happens when the
parent dies, by SIGKILL too. Whatever is left of its process group after GRACE_S seconds is killed; sooner when the
parent is dead, for then nobody waits for a clean end. A pipe and not PR_SET_PDEATHSIG, because that one does not reach
grandchildren (LiteLLM's workers) and fires when the *thread* that started the command ends, though its process lives.

Started as a file, isolated (`-I -S`): it imports the standard library alone and is up in milliseconds.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

_PARENT_DIED = signal.SIGHUP
_ASKED_TO_STOP = {signal.SIGTERM, signal.SIGINT, _PARENT_DIED}
_HEARD = {*_ASKED_TO_STOP, signal.SIGCHLD}
_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.02
_ORPHAN_GRACE_S = 2.0


def main(grace_s: float, command: list[str]) -> int:
    """Run the command to its end or to ours; its exit status (128 + signal when a signal ended it)."""
    # Orphans of the command become children of this process, so "no children left" means "nothing left".
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    child = subprocess.Popen(  # noqa: S603 - the command is the caller's own
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),  # noqa: PLW1509 - no thread runs yet
    )
    threading.Thread(target=_when_parent_dies, daemon=True).start()
    while child.poll() is None:
        heard = signal.sigwait(_HEARD)
        if heard in _ASKED_TO_STOP:
            grace_s = min(grace_s, _ORPHAN_GRACE_S) if heard == _PARENT_DIED else grace_s
            child.terminate()
            break
    return _leave_nothing(child, time.monotonic() + grace_s)


def _when_parent_dies() -> None:
    """Wait for the pipe's end, then say so to the main thread, which hears nothing but signals."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), _PARENT_DIED)


def _leave_nothing(child: "subprocess.Popen[bytes]", deadline: float) -> int:
    """Give the command, then what it has left behind, until the deadline to end; then kill the whole group, us too."""
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    os.killpg(0, signal.SIGTERM)  # blocked here, so only the others hear it
    while _children_left() and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    if _children_left():
        os.killpg(0, signal.SIGKILL)
    status = child.poll() or 0
    return status if status >= 0 else 128 - status


def _children_left() -> bool:
    """Bury the dead; whether anybody lives."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
