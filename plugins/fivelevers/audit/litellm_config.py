"""What a LiteLLM config says that gets in the way of the plugin, and the lines to write instead. Pure.

Each rule was seen to bite on LiteLLM 1.106.2. Files that the config includes are read as parts of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fivelevers.errors import Problem
from fivelevers.levers.prompt_cache.terms import Style
from fivelevers.policy.document import Document, Path

PLUGIN = "fivelevers.proxies.litellm.callback.plugin"
_SETTINGS = ("litellm_settings", "general_settings", "router_settings")


@dataclass(frozen=True, slots=True)
class Host:
    """How the proxy runs: what its config does not tell. ``environment`` are its variables."""

    workers: int
    replicas: int
    ledger_url: str
    environment: Mapping[str, str]


def clashes(parts: Sequence[Document], host: Host) -> list[Problem]:
    """Everything to change; ``parts`` are the config and what it includes, each a mapping."""
    found = [problem for rule in _RULES for part in parts for problem in rule(part)]
    found += _callbacks(parts)
    return [*sorted(found, key=lambda problem: (problem.file or "", problem.line or 0)), *_surroundings(host)]


def notes(parts: Sequence[Document], style_of: Callable[[str, str], Style]) -> list[Problem]:
    """Where lever 1 stands aside, to be known and not to be changed. ``style_of``: (provider, model)."""
    return [*_unmarked(parts, style_of), *(note for part in parts for note in _unpinned(part))]


def _unpinned(part: Document) -> Iterator[Problem]:
    why = "leaves the choice of a deployment to LiteLLM, which alone knows its limits: `affinity` does nothing"
    fix = "nothing to do, or take it out where affinity shall choose"
    checks: Path = ("router_settings", "enable_pre_call_checks")
    if part.at(checks) is True:
        yield part.problem(checks, True, why, fix)
    strategy: Path = ("router_settings", "routing_strategy")
    if str(part.at(strategy) or "").startswith("usage-based"):
        yield part.problem(strategy, part.at(strategy), why, fix)


def _unmarked(parts: Sequence[Document], style_of: Callable[[str, str], Style]) -> list[Problem]:
    found = []
    for part in parts:
        for path, params in _deployments(part):
            model, base = str(params.get("model") or ""), str(params.get("api_base") or "")
            provider, slash, name = model.partition("/")
            style = style_of(provider, name) if slash else None
            if style is Style.NONE:
                why = "gets no cache marks: lever 1 does not know how this provider takes them, and leaves it alone"
                fix = "nothing to do; the client's own marks pass, and what they read and write is metered"
                found.append(part.problem((*path, "model"), model, why, fix))
            elif provider == "openai" and base and not base.startswith("os.environ/") and "api.openai.com" not in base:
                why = "is not OpenAI's own address: OpenAI's cache fields are kept from it, since it may refuse them"
                fix = "if it passes requests on to OpenAI, name its host in FIVELEVERS_OPENAI_HOSTS"
                found.append(part.problem((*path, "api_base"), base, why, fix))
    return found


def _cache(part: Document) -> Iterator[Problem]:
    path: Path = ("litellm_settings", "cache")
    if part.at(path) is True:
        why = "puts LiteLLM's own cache in the place of the plugin's, whose levers 1 and 2 then never look anything up"
        yield part.problem(path, True, why, "delete it and `cache_params`; the plugin keeps answers in its own Redis")


def _own_marks(part: Document) -> Iterator[Problem]:
    name = "enable_anthropic_prompt_caching"
    for path in _everywhere(part, name):
        if part.at(path) is True:
            why = "marks the same prompts as lever 1, at fixed places: neither can be measured"
            yield part.problem(path, True, why, f"write `{name}: false`, and `prompt_cache` in the policy instead")


def _injection_points(part: Document) -> Iterator[Problem]:
    for path in _everywhere(part, "cache_control_injection_points"):
        if part.at(path):
            why = "takes breakpoints that lever 1 places by measured reuse (a provider accepts four)"
            yield part.problem(path, part.at(path), why, "delete it, and switch `prompt_cache` on in the policy")


def _other_routers(part: Document) -> Iterator[Problem]:
    for path, params in _deployments(part):
        model = params.get("model")
        if isinstance(model, str) and model.startswith("auto_router/"):
            why = "chooses the model before lever 4 can, and switches it within a session"
            fix = "list the models that it chooses among as deployments of one alias; lever 4 routes between them"
            yield part.problem((*path, "model"), model, why, fix)
    plugins: Path = ("router_settings", "plugins")
    if part.at(plugins):
        why = "narrow the models before lever 4 sees them"
        yield part.problem(plugins, part.at(plugins), why, "delete them, or keep `routing` off in the policy")


def _affinity(part: Document) -> Iterator[Problem]:
    path: Path = ("router_settings", "optional_pre_call_checks")
    checks = part.at(path)
    if isinstance(checks, list) and "prompt_caching" in checks:
        why = "pins replicas by the prompt before lever 1 has marked it: two replicas, two cache writes"
        yield part.problem((*path, checks.index("prompt_caching")), "prompt_caching", why, "delete it from the list")


def _stream_usage(part: Document) -> Iterator[Problem]:
    path: Path = ("general_settings", "always_include_stream_usage")
    if part.at(path) is False:
        why = "keeps the usage of streams from the ledger, which then estimates their tokens"
        yield part.problem(path, False, why, "delete it: clients that did not ask for usage do not see it either way")


_RULES: tuple[Callable[[Document], Iterator[Problem]], ...] = (
    _cache,
    _own_marks,
    _injection_points,
    _other_routers,
    _affinity,
    _stream_usage,
)


def _everywhere(part: Document, name: str) -> Iterator[Path]:
    """Where a setting may stand: in the three blocks of settings and in each deployment's parameters."""
    yield from ((block, name) for block in _SETTINGS)
    yield ("router_settings", "default_litellm_params", name)
    yield from ((*path, name) for path, _ in _deployments(part))


def _deployments(part: Document) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    models = part.at(("model_list",))
    for index in range(len(models) if isinstance(models, list) else 0):
        path: Path = ("model_list", index, "litellm_params")
        params = part.at(path)
        if isinstance(params, dict):
            yield path, params


def _callbacks(parts: Sequence[Document]) -> list[Problem]:
    """The plugin, listed once."""
    listed: list[tuple[Document, Path]] = []
    for part in parts:
        for name in ("callbacks", "success_callback", "failure_callback"):
            path: Path = ("litellm_settings", name)
            value = part.at(path)
            if isinstance(value, list):
                listed += [(part, (*path, at)) for at, callback in enumerate(value) if callback == PLUGIN]
            elif value == PLUGIN:
                listed.append((part, path))
    if not listed:
        path = ("litellm_settings", "callbacks")
        fix = f'litellm_settings: `callbacks: ["{PLUGIN}"]`, beside those that are there'
        return [parts[0].problem(path, parts[0].at(path), "does not list the plugin", fix)]
    return [
        part.problem(path, PLUGIN, "is listed before: it would meter twice", "keep one") for part, path in listed[1:]
    ]


def _surroundings(host: Host) -> Iterator[Problem]:
    if host.replicas > 1 and host.ledger_url.startswith("sqlite"):
        why = f"is a file of one machine, and there are {host.replicas} replicas"
        fix = "write a PostgreSQL URL that all replicas reach: postgresql+psycopg://user:password@host/database"
        yield Problem("FIVELEVERS_LEDGER_URL", host.ledger_url, why, fix)
    name = "PROMETHEUS_MULTIPROC_DIR"
    if host.workers > 1 and not host.environment.get(name):
        why = f"is not set: a scrape shows one of {host.workers} workers, and another each time"
        yield Problem(name, "", why, "set it to an empty folder, the same for all workers, before the proxy starts")
    name = "LITELLM_ENABLE_ANTHROPIC_PROMPT_CACHING"
    if host.environment.get(name, "").lower() == "true":
        why = "marks the same prompts as lever 1, at fixed places: neither can be measured"
        yield Problem(name, "true", why, "unset it, and switch `prompt_cache` on in the policy")
