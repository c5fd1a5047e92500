"""One writer of a storage test: `python -m tests.wire.ledger_writer FOLDER URL NAME COUNT [MOMENT]`.

Records COUNT events through a real meter, notes each one that was accepted in FOLDER/NAME.accepted, and ends when the
spool of FOLDER is empty; exit code 1 when the spool did not take an event. With a MOMENT it goes on until it kills
itself in its first drain: `before-commit`, or `after-commit`, when the ledger has what the spool still has.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine

from fivelevers import meter, metrics
from fivelevers.metering.event import OutcomeSeen
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.stores import ledger
from fivelevers.stores.database import writing
from fivelevers.stores.spool import SUFFIX
from tests.unit.events import attempt

BATCH, PAUSE_S, LIMIT_S, MANY = 50, 0.08, 200.0, 50_000  # the load outlasts some drains


def main(folder: Path, url: str, name: str, count: int, moment: str = "") -> None:
    if moment:
        die_in_a_drain(moment)
    writer = meter.Meter(folder, url)
    with (folder / f"{name}.accepted").open("ab", buffering=0) as accepted:
        for at in range(MANY if moment else count):
            event_id = f"{name}-{at}"
            writer.record(attempt(event_id=event_id, request_id=event_id, tags=("storage",)))
            accepted.write(f"{event_id}\n".encode())
            if at % BATCH == 0:
                writer.record(OutcomeSeen(f"o-{event_id}", event_id, 1001.0, Outcome.SUCCESS, Source.EXPLICIT))
                time.sleep(PAUSE_S)
    deadline = time.monotonic() + LIMIT_S
    while any(writer.spool.directory.glob(f"*{SUFFIX}")) and time.monotonic() < deadline:
        time.sleep(0.1)
    writer.close()
    lost = metrics.registry.get_sample_value("fivelevers_bypass_total", {"lever": "metering", "reason": "spool"})
    sys.exit(1 if lost else 0)


def die_in_a_drain(moment: str) -> None:
    @contextmanager
    def deadly(engine: Engine) -> Iterator[Connection]:
        with writing(engine) as connection:
            yield connection
            if moment == "before-commit":
                os.kill(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    vars(ledger)["writing"] = deadly
    vars(meter)["DRAIN_EVERY_S"] = 0.05  # before its siblings have drained everything


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), *sys.argv[5:])
