"""Everything that one running simulator remembers."""

import random
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any

from examples.provider_simulator import cache_automatic, cache_breakpoints, cache_marked
from examples.provider_simulator.batch_settings import Settings
from examples.provider_simulator.batches import Batches
from examples.provider_simulator.bill import Bill
from examples.provider_simulator.cache_store import CacheStore, CacheUse
from examples.provider_simulator.call import Call
from examples.provider_simulator.clock import Clock
from examples.provider_simulator.errors import ApiError
from examples.provider_simulator.faults import Faults
from examples.provider_simulator.files import Files
from examples.provider_simulator.mind import Mind
from examples.provider_simulator.prices import Catalogue
from examples.provider_simulator.recorder import Recorder
from examples.provider_simulator.replicas import Replicas

MAX_RESPONSES = 2000


class Simulator:
    """`keys`: workspace names by API key; None lets any key in, each its own workspace, named by itself."""

    def __init__(
        self,
        *,
        seed: int = 1,
        latency_scale: float = 1.0,
        keys: Mapping[str, str] | None = None,
        replicas: Replicas | None = None,
        batch_settings: Settings | None = None,
    ) -> None:
        self.latency_scale = latency_scale
        self.keys = keys
        self.clock = Clock()
        self._fresh_batches = partial(Batches, seed, self.clock, batch_settings or Settings())
        self.catalogue = Catalogue()
        self.faults = Faults(seed)
        self.bill = Bill()
        self.cache = CacheStore()
        self.recorder = Recorder()
        self.responses = StoredResponses()
        self.files = Files()
        self.batches = self._fresh_batches()
        self.replicas = replicas or Replicas()
        self.mind = Mind(seed, random.Random(f"wording {seed}"))

    def reset(self) -> None:
        """Forget all but the clock and what the simulator was started with."""
        self.batches.close()
        self.batches = self._fresh_batches()
        self.files = Files()
        self.bill = Bill()
        self.cache.clear()
        self.faults.clear()
        self.recorder.clear()
        self.replicas.clear()
        self.responses = StoredResponses()

    def workspace(self, key: str) -> str:
        if not key or (self.keys is not None and key not in self.keys):
            raise ApiError(401, "Incorrect API key provided", code="invalid_api_key")
        return self.keys[key] if self.keys is not None else key

    def look_up(self, call: Call, workspace: str, now: float) -> CacheUse:
        """What the request reads from its model's prompt cache and writes to it."""
        kind, key = call.model.cache, f"{workspace}\n{call.cache_key}"
        if kind == "marked":
            return cache_marked.look_up(self.cache, call.conversation, call.model, workspace, now)
        if kind == "breakpoints":
            return cache_breakpoints.look_up(
                self.cache, call.conversation, call.model, key, now, explicit=call.marks_alone
            )
        if kind == "automatic":
            return cache_automatic.look_up(self.cache, call.conversation, call.model, key, now, day=call.keep_a_day)
        return CacheUse()


class StoredResponses:
    """Responses kept for `previous_response_id` and GET, by workspace; the oldest go first."""

    def __init__(self) -> None:
        self._rows: OrderedDict[tuple[str, str], tuple[dict[str, Any], list[Any]]] = OrderedDict()

    def keep(self, workspace: str, response: dict[str, Any], items: list[Any]) -> None:
        """`items`: the whole conversation up to and including the response's output."""
        self._rows[workspace, response["id"]] = (response, items)
        while len(self._rows) > MAX_RESPONSES:
            self._rows.popitem(last=False)

    def get(self, workspace: str, response_id: str) -> dict[str, Any]:
        return self._find(workspace, response_id, None)[0]

    def items(self, workspace: str, response_id: str) -> list[Any]:
        return self._find(workspace, response_id, "previous_response_id")[1]

    def _find(self, workspace: str, response_id: str, param: str | None) -> tuple[dict[str, Any], list[Any]]:
        row = self._rows.get((workspace, response_id))
        if row is None:
            status, code = (400, "previous_response_not_found") if param else (404, None)
            raise ApiError(status, f"Response with id '{response_id}' not found.", param=param, code=code)
        return row
