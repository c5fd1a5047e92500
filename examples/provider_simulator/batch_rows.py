"""One row of a batch, by the code that answers live calls; only its price and its pace differ."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from examples.provider_simulator import generation, openai_embeddings
from examples.provider_simulator.batch import Batch, Row
from examples.provider_simulator.bill import Entry, Usage
from examples.provider_simulator.call import Api, Call, Surroundings
from examples.provider_simulator.errors import ApiError, invalid, server_error
from examples.provider_simulator.faults import Target
from examples.provider_simulator.fields import Json, parse_object
from examples.provider_simulator.simulator import Simulator

ROW_FAULTS = frozenset({"row_error"})


@dataclass(frozen=True, slots=True)
class Turn:
    """A row whose time has come: `at`, in seconds since the epoch."""

    sim: Simulator
    batch: Batch
    row: Row
    at: float
    request_id: str

    def body(self) -> Json:
        return parse_object(self.row.body)

    def around(self) -> Surroundings:
        earlier = partial(self.sim.responses.items, self.batch.workspace)
        return Surroundings({"anthropic-version": "of the batch"}, self.sim.catalogue, earlier)


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """`body` is the provider's answer or error; `call` None when it was none that is billed."""

    status: int
    request_id: str
    body: Json
    call: Call | None = None
    id: str = ""
    usage: Usage = field(default_factory=Usage)


Answers = Callable[[Turn], RowAnswer]


def run(turn: Turn, answers: Answers) -> RowAnswer:
    """Answer the row, bill it and set its state."""
    provider, request_id = turn.batch.provider, turn.request_id
    try:
        _fail_by_rule(turn)
        answer = answers(turn)
    except ApiError as error:
        answer = RowAnswer(error.status, request_id, error.body(provider, request_id))
    except Exception:  # as a live call would: 500, and the trace where whoever runs the simulator sees it
        traceback.print_exc()
        answer = RowAnswer(500, request_id, server_error().body(provider, request_id))
    turn.row.state = "succeeded" if answer.call else "errored"
    if answer.call:
        turn.row.usd = _bill(turn, answer.call, answer)
    return answer


def generated(api: Api, turn: Turn) -> RowAnswer:
    """Chat, Responses and Messages."""
    call = api.parse(turn.body(), turn.around())
    if call.stream:
        raise invalid("stream", "not supported in a batch")
    made = generation.generate(turn.sim, api, call, turn.batch.workspace, turn.at)
    turn.sim.cache.put(made.used.entries)
    return RowAnswer(200, turn.request_id, made.body, call, made.reply.id, made.reply.usage)


def embedded(turn: Turn) -> RowAnswer:
    call = openai_embeddings.parse(turn.body(), turn.around())
    tokens = call.conversation.tokens
    whole = openai_embeddings.whole(call, tokens)
    return RowAnswer(200, turn.request_id, whole, call, turn.request_id, Usage(input=tokens))


def _fail_by_rule(turn: Turn) -> None:
    faults, batch = turn.sim.faults, turn.batch
    if faults.rules:
        text = turn.row.body.decode("utf-8", "replace")
        target = Target(batch.model, "batches", batch.workspace, stream=False, text=text, call="row")
        if faults.draw(target, ROW_FAULTS):
            raise server_error()


def _bill(turn: Turn, call: Call, answer: RowAnswer) -> Decimal:
    entry = Entry(
        id=answer.id,
        request_id=answer.request_id,
        at=turn.at,
        key=turn.batch.workspace,
        model=call.model,
        api=call.api,
        stream=False,
        usage=answer.usage,
        usage_reported=True,
        batch=turn.batch.id,
        custom_id=turn.row.custom_id,
    )
    turn.sim.bill.add(entry)
    return entry.usd
