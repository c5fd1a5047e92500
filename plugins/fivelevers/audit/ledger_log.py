"""Our own ledger as a log: every attempt with its route; its prompt where the route keeps content."""

from __future__ import annotations

from collections.abc import Iterator

from fivelevers.audit.answers import CUT_OFF, Said, ended_whole
from fivelevers.audit.asked import Asked, asked_of, asked_without_prompt
from fivelevers.audit.calls import Account, LeftOutError, LoggedCall, Reason, Text
from fivelevers.audit.manner import manner_of
from fivelevers.audit.prompts import prompt
from fivelevers.policy import Caller
from fivelevers.request import Api, Request
from fivelevers.stores.call_query import StoredCall, calls, count
from fivelevers.stores.content_key import Keys
from fivelevers.stores.ledger import Ledger


def is_ledger(name: str) -> bool:
    """Whether a log's name is the URL of a ledger, or a file of SQLite's."""
    return "://" in name or name.endswith((".db", ".sqlite", ".sqlite3"))


def url_of(name: str) -> str:
    return name if "://" in name else f"sqlite:///{name}"


def size(ledger: Ledger) -> int:
    """How many rows ``read`` goes through. Raises LedgerError."""
    return count(ledger)


def read(ledger: Ledger, account: Account, keys: Keys) -> Iterator[LoggedCall]:
    """The calls in the order in which they were sent. Raises LedgerError."""
    for stored in calls(ledger, keys):
        account.rows += 1
        place = f"attempt {stored.event_id}"
        try:
            call = _call(place, stored)
        except LeftOutError as error:
            account.leave(error.reason, place)
        else:
            if account.take(call):
                yield call


def _call(place: str, stored: StoredCall) -> LoggedCall:
    if not stored.success:
        raise LeftOutError(Reason.FAILED)
    if stored.estimated:
        raise LeftOutError(Reason.ESTIMATED)
    if stored.batched:
        raise LeftOutError(Reason.BATCHED)
    if not stored.usage.total:
        raise LeftOutError(Reason.SERVED)
    api = Api(stored.api)
    text, request, opening = prompt(api, stored.request or {}, stored.usage.prompt)
    return LoggedCall(
        place=place,
        at=stored.started_at,
        model=stored.model,
        provider=stored.provider,
        deployment=stored.deployment,
        alias=stored.alias,
        caller=Caller("", {}, stored.key, stored.key_alias, stored.team),
        route=stored.route,
        usage=stored.usage,
        logged_usd=stored.cost_usd,
        text=Text.SEALED if stored.sealed else text,
        request=request,
        opening=opening,
        asked=_asked(stored, api, request),
        manner=manner_of(stored.request or {}, api=api, streamed=stored.stream),
        good=stored.good,
        cut_off=None if stored.finish_reason is None else stored.finish_reason in CUT_OFF,
        session=stored.session if stored.explicit_session else None,
    )


def _asked(stored: StoredCall, api: Api, request: Request | None) -> Asked | None:
    whole = ended_whole(stored.finish_reason)
    if request is None:
        return asked_without_prompt(api, stored.digest, stored.ended_at, whole=whole)
    # What was left out of the content may be what forbids an answer from the store.
    body = {**dict.fromkeys(stored.left_out, True), **(stored.request or {})}
    return asked_of(request, body, Said(whole, stored.answer), stored.ended_at, stored.digest)
