"""A batch of the lane, from its plan to its cleaning, and what is to be done next: pure.

    PLANNED > UPLOADING > UPLOADED > CREATING > SUBMITTED > TERMINAL > APPLIED > gone

Who makes a batch may be killed anywhere, so each state says what may have happened outside. UPLOADING: from here on no
row leaves, since a file may hold it. CREATING: the provider may have the batch, whatever it answered; nobody creates it
again before a listing, ``grace_s`` after the attempt, has shown that it is not there. TERMINAL: it ended, in whatever
status, and all that it answered is still to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32

from fivelevers.levers.batch.work import Group


class BatchState(StrEnum):
    PLANNED = "planned"
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    CREATING = "creating"
    SUBMITTED = "submitted"
    TERMINAL = "terminal"
    APPLIED = "applied"
    GONE = "gone"


BEFORE_CREATING = (BatchState.PLANNED, BatchState.UPLOADING, BatchState.UPLOADED)


@dataclass(frozen=True, slots=True)
class Batch:
    """``id`` is ours, 16 hexadecimal digits; ``fence`` rises whenever a worker takes it over.

    ``at``: since when it is in its state, seconds of the epoch, by Redis; ``age_s``: how long that is. ``tries``: of
    this state's step. ``rows``: as planned; ``left`` of them have not ended elsewhere. ``tokens``: of their prompts.
    ``file``, ``provider_id``: the provider's names, empty where there is none. ``rescue_at``: the first deadline in it.
    """

    id: str
    group: Group
    state: BatchState
    fence: int
    at: float
    age_s: float
    made_at: float
    rows: int
    left: int
    tokens: int
    rescue_at: float
    tries: int = 0
    file: str = ""
    provider_id: str = ""

    @property
    def name(self) -> str:
        """What the provider knows it by."""
        return f"fivelevers-{self.id}"

    def row_id(self, seq: int) -> str:
        """custom_id of one row: fits Anthropic's ^[a-zA-Z0-9_-]{1,64}$, and says whose it is."""
        return f"{self.id}-{seq}"

    def seq(self, row_id: str) -> int | None:
        """The row's number; None where the row is none of this batch."""
        batch, _, seq = row_id.partition("-")
        ours = batch == self.id and seq.isascii() and seq.isdigit() and int(seq) < self.rows
        return int(seq) if ours else None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the lane goes, in seconds. ``lease_s``: after which a silent worker's batch is anybody's.

    ``grace_s``: from an attempt to create until a listing is believed that does not show it: longer than an attempt may
    take (``create_limit_s``) and than the provider's list is behind. ``live_margin_s``: what a live call needs before
    the deadline. ``missing_most``: how often a row is sent again that its batch came back without.
    """

    tick_s: float = 1.0
    lease_s: float = 60.0
    grace_s: float = 90.0
    create_limit_s: float = 30.0
    poll_first_s: float = 15.0
    poll_most_s: float = 300.0
    retry_first_s: float = 5.0
    retry_most_s: float = 300.0
    live_margin_s: float = 300.0
    missing_most: int = 2

    def __post_init__(self) -> None:
        if self.grace_s <= self.create_limit_s:
            rule = "is not above create_limit_s: a batch that is being created would be created again"
            raise ValueError(f"grace_s: {self.grace_s:g} {rule} ({self.create_limit_s:g})")


class Step(StrEnum):
    UPLOAD = "upload"
    CREATE = "create"
    WAIT = "wait"
    RECONCILE = "reconcile"
    POLL = "poll"
    APPLY = "apply"
    CLEAN = "clean"


_STEPS = {
    BatchState.PLANNED: Step.UPLOAD,
    BatchState.UPLOADING: Step.UPLOAD,  # whoever did it is gone; a file that nobody names costs nothing
    BatchState.UPLOADED: Step.CREATE,
    BatchState.SUBMITTED: Step.POLL,
    BatchState.TERMINAL: Step.APPLY,
    BatchState.APPLIED: Step.CLEAN,
}


def next_step(batch: Batch, pace: Pace) -> Step:
    """What who holds the batch does now."""
    if batch.left == 0 and batch.state in BEFORE_CREATING:
        return Step.CLEAN  # nobody waits for any of it
    if batch.state is BatchState.CREATING:
        return Step.RECONCILE if batch.age_s >= pace.grace_s else Step.WAIT
    return _STEPS.get(batch.state, Step.CLEAN)


@dataclass(frozen=True, slots=True)
class Found:
    """What a provider's listing says of one of ours: its ids there; ``undecided``: one of them may be ours."""

    ids: tuple[str, ...] = ()
    undecided: bool = False


@dataclass(frozen=True, slots=True)
class Adoption:
    """``adopt``: goes on as ours; ``cancel``: is one too many. Neither, and not ``wait``: it is created again."""

    adopt: str = ""
    cancel: tuple[str, ...] = ()
    wait: bool = False


def adoption(found: Found) -> Adoption:
    """Of several the one that is named first, which the provider lists first and so do all workers."""
    ids = sorted(found.ids)
    if ids:
        return Adoption(ids[0], tuple(ids[1:]))
    return Adoption(wait=found.undecided)


class Failure(StrEnum):
    """What is known after a call that failed."""

    NOT_DONE = "not-done"  # refused for now, or never sent
    UNKNOWN = "unknown"  # no answer, or one that says nothing: it may have happened
    REFUSED = "refused"  # it never will be done so
    TOO_MUCH = "too-much"  # more tokens than may wait at once


@dataclass(frozen=True, slots=True)
class Next:
    """The state that a batch goes to, when somebody looks again, and whether its rows are given up: asked live."""

    state: BatchState
    in_s: float
    give_up: bool = False


_CREATES = 3  # of one file; then its rows may leave again


def after_upload(batch: Batch, failure: Failure, pace: Pace) -> Next:
    """An upload that failed leaves nothing that costs."""
    if failure is Failure.REFUSED:
        return Next(batch.state, 0.0, give_up=True)
    return Next(BatchState.PLANNED, backoff(batch.tries, pace))


def after_create(batch: Batch, failure: Failure, pace: Pace) -> Next:
    """A create that failed may have happened."""
    if failure is Failure.UNKNOWN:
        return Next(BatchState.CREATING, pace.grace_s)
    if failure is Failure.REFUSED:
        return Next(batch.state, 0.0, give_up=True)
    again = BatchState.UPLOADED if batch.tries + 1 < _CREATES else BatchState.PLANNED
    return Next(again, backoff(batch.tries, pace))


def backoff(tries: int, pace: Pace) -> float:
    """Seconds until the next try, doubling."""
    return min(pace.retry_first_s * 2.0 ** min(tries, 30), pace.retry_most_s)


def poll_in(batch: Batch, pace: Pace) -> float:
    """Seconds until the next look: a fifth of the time that it has taken, spread."""
    wait_s = min(max(pace.poll_first_s, batch.age_s / 5), pace.poll_most_s)
    return wait_s * (0.9 + 0.2 * (crc32(f"{batch.id}{batch.tries}".encode()) % 1000) / 1000)


def at_rescue(in_s: float, rescue_at: float, now: float, pace: Pace) -> float:
    """Seconds until the next look, or until a request has to be asked live, if that is sooner."""
    return max(min(in_s, rescue_at - pace.live_margin_s - now), pace.tick_s)


def is_late(deadline_at: float, now: float, pace: Pace) -> bool:
    """Whether a request has to be asked live to be answered in time."""
    return now >= deadline_at - pace.live_margin_s


def halved(tokens: int) -> int:
    """What may wait at a provider at once, when so many were too many."""
    return max(tokens // 2, 1)


def grown(cap: int) -> int:
    """The same after a batch that went through."""
    return cap + max(cap // 8, 1)


def first_deadline(deadlines: Sequence[float]) -> float:
    """Infinite where there are none."""
    return min(deadlines, default=float("inf"))
