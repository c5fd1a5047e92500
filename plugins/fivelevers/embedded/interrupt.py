"""Ctrl-C, `kill` and a closed terminal as one exception, so that `finally` and `with` clean up after each of them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody asked this process to stop. Not an Exception: code that survives errors must not survive this."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block the first signal raises Interrupted; further ones can not cut the cleaning up short.

    A hang-up that is ignored already stays so: `nohup` means it. Ctrl-C does not: a shell script starts every `&` with
    it ignored, and what the script has started should end with it.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    caught = [number for number in _SIGNALS if number != signal.SIGHUP or before[number] is not signal.SIG_IGN]

    def interrupt(number: int, _: FrameType | None) -> None:
        for each in caught:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    for number in caught:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number])
