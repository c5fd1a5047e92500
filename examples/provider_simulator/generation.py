"""From a parsed call to its answer, whoever asks: a live request or a row of a batch."""

from dataclasses import dataclass, replace
from uuid import uuid4

from examples.provider_simulator import openai_responses
from examples.provider_simulator.answer import Answer, bounded
from examples.provider_simulator.bill import Usage
from examples.provider_simulator.cache_store import CacheUse
from examples.provider_simulator.call import Api, Call, Reply
from examples.provider_simulator.fields import Json
from examples.provider_simulator.simulator import Simulator
from examples.provider_simulator.tiers import MISTAKEN


@dataclass(frozen=True, slots=True)
class Generation:
    """`body` is the whole answer; `used` what it read from the prompt cache and writes to it, not yet written."""

    reply: Reply
    used: CacheUse
    body: Json


def generate(
    sim: Simulator, api: Api, call: Call, workspace: str, now: float, *, show_usage: bool = True
) -> Generation:
    """Chat, Responses and Messages. `now`: when the request started, seconds since the epoch."""
    answers = tuple(_answer(sim, call) for _ in range(call.choices))
    used = sim.look_up(call, workspace, now)
    usage = usage_of(call, used, sum(answer.tokens for answer in answers))
    reply = Reply(call, api.id_prefix + uuid4().hex, int(now), usage, answers, show_usage)
    body = api.whole(reply)
    if call.api == "responses" and call.body.get("store") is not False:
        _store(sim, call, workspace, body)
    return Generation(reply, used, body)


def usage_of(call: Call, used: CacheUse, output: int) -> Usage:
    rest = call.conversation.tokens - used.read - used.write_5m - used.write_1h
    return Usage(rest, used.read, used.write_5m, used.write_1h, output)


def _answer(sim: Simulator, call: Call) -> Answer:
    model = replace(call.model, tier=MISTAKEN) if call.mistaken else call.model
    return bounded(sim.mind.answer(call.conversation, model), call.max_tokens, call.conversation.stop)


def _store(sim: Simulator, call: Call, workspace: str, body: Json) -> None:
    earlier = call.body.get("previous_response_id")
    items = sim.responses.items(workspace, earlier) if earlier else []
    items = [*items, *openai_responses.input_items(call.body), *body["output"]]
    sim.responses.keep(workspace, body, items)
