"""Who scores the weak model's answer to a request, where the policy asks for that: the artifact that it names.

Whatever keeps the artifact from deciding is known before anybody is asked; the strong model answers then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fivelevers import metrics
from fivelevers.engine import Plan
from fivelevers.levers.routing.deployments import names_of
from fivelevers.levers.routing.prompt import prompt_of
from fivelevers.policy import CascadeSwitch
from fivelevers.proxies.litellm.own_calls import router
from fivelevers.proxies.litellm.routing import LEVER, TASK_HEADER
from fivelevers.proxies.litellm.state import State

if TYPE_CHECKING:
    from fivelevers.levers.routing.artifact import Artifact
    from fivelevers.levers.routing.scorer import Scorer


def scorer_of(
    plan: Plan, body: Mapping[str, Any], settings: CascadeSwitch, state: State
) -> tuple[Scorer | None, str | None]:
    """(who scores, None), or (None, why nobody does, in a word)."""
    loaded = state.artifacts.of(settings.artifact or "", cascade=True)
    artifact, cell = loaded.artifact, plan.caller.headers.get(TASK_HEADER) or plan.route.name
    if artifact is None:
        return None, "no-artifact"
    why = "stale" if not loaded.holds or not _of_these(artifact, settings) else _silent(artifact, cell)
    prompt = prompt_of(plan.request.api, body) if why is None else None
    if prompt is None:
        return None, why or "no-prompt"
    from fivelevers.levers.routing.scorer import Scorer  # needs numpy, which is there where an artifact is read

    try:
        return Scorer.of(artifact, prompt, cell), None
    except Exception as error:
        metrics.count_bypass(LEVER, "features", error)
        return None, "error"


def _silent(artifact: Artifact, cell: str) -> str | None:
    from fivelevers.levers.routing.artifact import Reason
    from fivelevers.levers.routing.certify import Verdict

    if artifact.certificate.verdict is not Verdict.ROUTE:
        return Reason.NOT_CERTIFIED.value
    return None if cell in artifact.model.routes else Reason.UNKNOWN_ROUTE.value


def _of_these(artifact: Artifact, settings: CascadeSwitch) -> bool:
    """Whether both aliases still hold the models that it was fitted to."""
    models = zip((settings.weak, settings.strong), artifact.model.models, strict=True)
    return all(_holds(alias, model) for alias, model in models)


def _holds(alias: str, model: str) -> bool:
    known = router()
    deployments = [] if known is None else known.get_model_list(model_name=alias) or []
    return bool(deployments) and all(model in names_of(one) | {alias} for one in deployments)
