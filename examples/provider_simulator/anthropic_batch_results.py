"""What Anthropic makes of a batch: one line of results for each request."""

from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import orjson

from examples.provider_simulator import batch_rows
from examples.provider_simulator.anthropic_messages import MESSAGES
from examples.provider_simulator.batch import Batch, Row
from examples.provider_simulator.errors import invalid
from examples.provider_simulator.fields import Json
from examples.provider_simulator.simulator import Simulator

_generated = partial(batch_rows.generated, MESSAGES)
_LEFT = {"expired": "expired", "cancelled": "canceled"}


@dataclass(slots=True)
class Results:
    """`lines` are in the order in which the requests ended; readable once the batch has."""

    sim: Simulator
    lines: list[bytes] = field(default_factory=list)

    def admits(self, batch: Batch) -> bool:
        """Always: requests are validated as they run."""
        return True

    def runs(self, batch: Batch, row: Row, at: float) -> None:
        turn = batch_rows.Turn(self.sim, batch, row, at, f"req_{uuid4().hex}")
        answer = batch_rows.run(turn, _answer)
        if row.state == "succeeded":
            self._add(row, {"type": "succeeded", "message": answer.body})
        else:
            self._add(row, {"type": "errored", "error": answer.body})

    def ends(self, batch: Batch, at: float) -> None:
        for row in batch.rows:
            if row.state in _LEFT:
                self._add(row, {"type": _LEFT[row.state]})

    def _add(self, row: Row, result: Json) -> None:
        self.lines.append(orjson.dumps({"custom_id": row.custom_id, "result": result}) + b"\n")


def _answer(turn: batch_rows.Turn) -> batch_rows.RowAnswer:
    if turn.body().get("max_tokens") == 0:
        raise invalid("max_tokens", "0 is not supported in a batch")
    answer = _generated(turn)
    answer.body["usage"]["service_tier"] = "batch"
    return answer
