"""What keeps lever 2's promise while it serves: the calibration holds for what is asked, and its audits stay good."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fivelevers.errors import CalibrationError
from fivelevers.levers.semantic_cache.bound import Rolling
from fivelevers.levers.semantic_cache.calibration import Calibration
from fivelevers.policy import Policy
from fivelevers.stores.calibrations import Audits, Calibrated
from fivelevers.stores.switches import Switches

LEVER = "semantic_cache"
ACTOR = "guard"
PROMPTS_AT_MOST = 256  # that a calibration names: a route with more has a prompt for each caller, and none is new

_log = logging.getLogger("fivelevers")


class AnswerGuard:
    """Says what may be served, and calls a route back to shadow once its audits show more wrong hits than allowed."""

    def __init__(self, policy: Callable[[], Policy], switches: Switches) -> None:
        self._policy, self._switches = policy, switches
        self._read: dict[str, tuple[Calibrated, Calibration | None]] = {}  # bounded by the routes that were calibrated

    def serving(self, found: Calibrated, embedder: str, prompt: str) -> Calibration | None:
        """The calibration, where it says to serve and has seen this embedder and prompt."""
        read = self._read.get(found.route)
        if read is None or read[0] is not found:
            read = self._read[found.route] = (found, _parsed(found))
        made = read[1]
        if made is None or not made.serves or made.holds.embedder != embedder:
            return None
        known = len(made.holds.prompts) >= PROMPTS_AT_MOST or prompt in made.holds.prompts
        return made if known else None

    def audited(self, made: Calibrated, counted: Audits) -> None:
        """Told of each route's audits since its calibration, whenever they were counted."""
        route = next((route for route in self._policy().routes if route.name == made.route), None)
        if route is None or LEVER in self._switches.current().retreated(made.route):
            return
        allowed = route.levers.semantic_cache.max_wrong
        if not Rolling(counted.judged, counted.wrong).breached(allowed):
            return
        reason = f"{counted.wrong} of {counted.judged} audited hits were wrong; {allowed:.1%} is promised"
        self._switches.retreat(made.route, LEVER, actor=ACTOR, reason=reason)


def _parsed(found: Calibrated) -> Calibration | None:
    try:
        return Calibration.from_json(found.detail)
    except CalibrationError as error:
        _log.warning("fivelevers: %s serves nothing semantic: %s", found.route, error)
        return None
