"""What OpenAI makes of a batch: checks at its start, a line for each row, two files at its end."""

from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import orjson

from examples.provider_simulator import batch_rows
from examples.provider_simulator.batch import Batch, Row
from examples.provider_simulator.bill import Usage
from examples.provider_simulator.fields import Json
from examples.provider_simulator.openai_batch_input import EMBEDDINGS, error_json
from examples.provider_simulator.openai_chat import CHAT
from examples.provider_simulator.openai_responses import RESPONSES
from examples.provider_simulator.simulator import Simulator

_ANSWERS: dict[str, batch_rows.Answers] = {
    "/v1/chat/completions": partial(batch_rows.generated, CHAT),
    "/v1/responses": partial(batch_rows.generated, RESPONSES),
    EMBEDDINGS: batch_rows.embedded,
}
_LEFT = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed because the batch was cancelled."),
}
BYTES_PER_TOKEN = 4  # of a row's body, for the limit of enqueued tokens


@dataclass(slots=True)
class Job:
    """The part of a batch that is OpenAI's own. `errors` are what validation finds; `model` is the dated name."""

    sim: Simulator
    endpoint: str
    input_file_id: str
    metadata: Json | None
    kept_s: float
    errors: list[Json]
    model: str
    enqueued: int = 0
    used: Usage = field(default_factory=Usage)
    output_file_id: str | None = None
    error_file_id: str | None = None
    _output: list[bytes] = field(default_factory=list)
    _failed: list[bytes] = field(default_factory=list)

    def admits(self, batch: Batch) -> bool:
        self.enqueued = sum(len(row.body) for row in batch.rows) // BYTES_PER_TOKEN
        limit = self.sim.batches.settings.enqueued_tokens.get(batch.model)
        others = self.sim.batches.unfinished(batch.workspace, batch.model)
        taken = sum(other.does.enqueued for other in others if isinstance(other.does, Job))
        if batch.over_limit or (limit is not None and taken + self.enqueued > limit):
            self.errors.append(
                error_json(
                    "token_limit_exceeded",
                    f"Enqueued token limit reached for {batch.model} in organization {batch.workspace}. Limit:"
                    f" {limit or 0:,} enqueued tokens. Please try again once some in_progress batches have been"
                    " completed.",
                )
            )
        return not self.errors

    def runs(self, batch: Batch, row: Row, at: float) -> None:
        turn = batch_rows.Turn(self.sim, batch, row, at, f"req_{uuid4().hex}")
        answer = batch_rows.run(turn, _ANSWERS[self.endpoint])
        self.used += answer.usage
        response = {"status_code": answer.status, "request_id": answer.request_id, "body": answer.body}
        lines = self._output if row.state == "succeeded" else self._failed
        lines.append(_line(row, response, None))

    def ends(self, batch: Batch, at: float) -> None:
        for row in batch.rows:
            if row.state in _LEFT:
                code, message = _LEFT[row.state]
                self._failed.append(_line(row, None, {"code": code, "message": message}))
        self.output_file_id = self._file(batch, "output", self._output, at)
        self.error_file_id = self._file(batch, "error", self._failed, at)
        self._output, self._failed = [], []

    def usage_json(self) -> Json:
        used = self.used
        return {
            "input_tokens": used.all_input,
            "input_tokens_details": {"cached_tokens": used.cache_read},
            "output_tokens": used.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": used.all_input + used.output,
        }

    def _file(self, batch: Batch, kind: str, lines: list[bytes], at: float) -> str | None:
        """None where there is nothing to tell: OpenAI makes no empty files."""
        if not lines:
            return None
        name = f"{batch.id}_{kind}.jsonl"
        content = b"".join(lines)
        return self.sim.files.add(batch.workspace, name, "batch_output", content, now=at, kept_s=self.kept_s).id


def _line(row: Row, response: Json | None, error: Json | None) -> bytes:
    line = {"id": f"batch_req_{uuid4().hex}", "custom_id": row.custom_id, "response": response, "error": error}
    return orjson.dumps(line) + b"\n"
