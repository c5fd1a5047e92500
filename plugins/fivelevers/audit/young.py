"""How Python collects garbage while a long log is gone over."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_NEVER: Final = 1_000_000_000


def sweep_the_young() -> None:
    """What is new alone: to look through all that is remembered of a log, again and again, takes a tenth of the time
    and finds nothing."""
    gc.set_threshold(10_000, 10, _NEVER)


@contextmanager
def sweeping_the_young() -> Iterator[None]:
    before = gc.get_threshold()
    sweep_the_young()
    try:
        yield
    finally:
        gc.set_threshold(*before)
