"""The calls of a gate: each item once to each server, and again to the original. What was answered is asked no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from fivelevers.batched import finish_reason, output_of
from fivelevers.errors import QuantizationError, ServerError
from fivelevers.levers.routing.needs import LIMITS
from fivelevers.output import Output, ToolCall
from fivelevers.providers.model_servers import ModelServer
from fivelevers.request import Api
from fivelevers.route_benchmark.cases import PATHS, Case

_ITS_OWN: Final = frozenset({400, 413, 422})  # the item's fault, or the model's: an answer that is wrong
_NEVER: Final = frozenset({401, 403, 404})
WAITS_S: Final = (1.0, 5.0, 20.0)
GONE_AFTER: Final = 5  # failures in a row, all tries of each: a server that does not come back while somebody waits


class Role(StrEnum):
    BASELINE = "baseline"
    CANDIDATE = "candidate"
    AGAIN = "again"  # the original once more


@dataclass(frozen=True, slots=True)
class Answered:
    """``tokens``: of the prompt, as the server counts them; 0 where it did not. ``why``: it was refused."""

    output: Output
    tokens: int = 0
    finish: str = ""
    why: str = ""

    def record(self) -> dict[str, Any]:
        calls = [(call.name, call.arguments) for call in self.output.tool_calls]
        said = {"text": self.output.text, "tokens": self.tokens, "finish": self.finish, "why": self.why}
        return said | ({"tool_calls": calls} if calls else {})

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Answered:
        calls = tuple(ToolCall(*call) for call in record.get("tool_calls", ()))
        return cls(Output(record["text"], calls), record["tokens"], record["finish"], record["why"])


@dataclass
class Asking:
    """``servers`` and ``models`` by role. ``write`` puts a record on the disk. ``slots``: calls at once, of each
    server.

    ``waits_s``: before each further try. A server that fails too often in a row is ``gone``, and asked no more.
    """

    servers: Mapping[Role, ModelServer]
    models: Mapping[Role, str]
    write: Callable[[Mapping[str, Any]], None]
    max_tokens: int
    slots: Mapping[Role, asyncio.Semaphore]
    waits_s: Sequence[float]
    gone: dict[str, str] = field(default_factory=dict)
    _failed: dict[str, int] = field(default_factory=dict)
    _known: dict[tuple[str, str], Answered] = field(default_factory=dict)

    def replay(self, records: Sequence[Mapping[str, Any]]) -> None:
        """What an earlier run heard."""
        for record in records:
            if "asked" in record:
                self._known[record["asked"], record["case"]] = Answered.of_record(record)

    def known(self, role: Role, case: Case) -> Answered | None:
        return self._known.get((role.value, case.key))

    async def ask(self, role: Role, case: Case) -> Answered | None:
        """None where no answer came. Raises QuantizationError where the server refuses all."""
        known = self.known(role, case)
        if known is not None:
            return known
        async with self.slots[role]:
            found = await self._tried(role, case)
        if found is not None:
            self._known[role.value, case.key] = found
            self.write({"asked": role.value, "case": case.key, **found.record()})
        return found

    async def _tried(self, role: Role, case: Case) -> Answered | None:
        server = self.servers[role]
        for wait_s in (*self.waits_s, 0.0):
            if server.url in self.gone:
                return None
            try:
                found = await self._answer(server, role, case)
            except ServerError as error:
                if error.status in _NEVER:
                    raise QuantizationError(str(error)) from error
                why = str(error)
            else:
                self._failed[server.url] = 0
                return found
            await asyncio.sleep(wait_s)
        self._failed[server.url] = self._failed.get(server.url, 0) + 1
        if self._failed[server.url] >= GONE_AFTER:
            self.gone[server.url] = why
        return None

    async def _answer(self, server: ModelServer, role: Role, case: Case) -> Answered:
        try:
            body = await server.answer(PATHS[case.api], self.body(role, case))
        except ServerError as error:
            if error.status not in _ITS_OWN:
                raise
            return Answered(Output(""), why=str(error))
        usage = body.get("usage")
        used = usage if isinstance(usage, dict) else {}
        tokens = used.get("prompt_tokens", used.get("input_tokens", 0))
        return Answered(output_of(body), tokens if isinstance(tokens, int) else 0, finish_reason(body) or "")

    def body(self, role: Role, case: Case) -> dict[str, Any]:
        """Greedy: as far as a server can be made to say the same twice."""
        greedy: dict[str, Any] = {"temperature": 0.0} | ({"seed": 0} if case.api is Api.CHAT else {})
        limit = {} if case.limit else {LIMITS[case.api][0]: self.max_tokens}
        return {**case.body, **greedy, **limit, "model": self.models[role]}
