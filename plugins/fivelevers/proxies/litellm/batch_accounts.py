"""Which deployments have a Batch API, and the accounts that batches are sent with.

An account is named by its host and the id of a deployment, and never by its key: after a key was changed what it sent
is found again. A deployment that is gone is stood in for by another one of the same provider and host.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from fivelevers.levers.batch.work import Endpoint, Group
from fivelevers.providers.batches import Account
from fivelevers.proxies.litellm import own_calls
from fivelevers.proxies.litellm.marking import is_openai
from fivelevers.proxies.litellm.reading import Deployment, mapping

_OPENAI_SHAPED: Final = frozenset({Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.EMBEDDINGS})
_SHAPES: Final[Mapping[str, frozenset[Endpoint]]] = {
    "openai": _OPENAI_SHAPED,
    "azure": _OPENAI_SHAPED,
    "anthropic": frozenset({Endpoint.MESSAGES}),
}
_DECLARED: Final = "fivelevers_batches"  # in a deployment's model_info: an OpenAI-shaped provider that has batches
_KEYS: Final = {"openai": "OPENAI_API_KEY", "azure": "AZURE_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
_ENVIRON: Final = "os.environ/"
_DEFAULT_HOSTS: Final = {"openai": "api.openai.com", "anthropic": "api.anthropic.com"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call goes. ``region`` "": the deployment states none."""

    account: Account
    region: str


def of_call(kwargs: Mapping[str, Any], deployment: Deployment) -> Place | str:
    """Where a call goes, or why there are no batches there."""
    info = mapping(kwargs.get("model_info"))
    declared = info.get(_DECLARED) is True
    provider = "openai" if declared and deployment.provider not in _SHAPES else deployment.provider
    if provider not in _SHAPES or (provider == "openai" and not declared and not is_openai(kwargs.get("api_base"))):
        return "no-batch-api"
    if not deployment.id:
        return "no-deployment"  # the client brought an account of its own
    region = info.get("region") or kwargs.get("region_name")
    return Place(_account(provider, deployment.id, kwargs), region if isinstance(region, str) else "")


def unlike(provider: str, endpoint: Endpoint) -> str:
    """Why a request of this shape can not stand in a batch of this provider; "" where it can."""
    return "" if endpoint in _SHAPES[provider] else "other-shape"


def of_group(group: Group) -> Account | None:
    """The account of a group among the proxy's deployments now."""
    router = own_calls.router()
    return None if router is None else find(group.account, group.provider, router.model_list)


def find(name: str, provider: str, deployments: Iterable[Mapping[str, Any]]) -> Account | None:
    host, _, deployment_id = name.partition("/")
    known = [account for one in deployments if (account := _of_deployment(one, provider)) is not None]
    mine = [account for account in known if account.name == name]
    there = [account for account in known if account.name.partition("/")[0] == host]
    return next(iter([*mine, *there]), None) if deployment_id else None


def _of_deployment(deployment: Mapping[str, Any], provider: str) -> Account | None:
    params, info = mapping(deployment.get("litellm_params")), mapping(deployment.get("model_info"))
    model = str(params.get("model") or "")
    own = params.get("custom_llm_provider") or (model.partition("/")[0] if "/" in model else _guessed(model))
    if own != provider and not (provider == "openai" and info.get(_DECLARED) is True):
        return None
    return _account(provider, str(info.get("id") or ""), params)


def _guessed(model: str) -> str:
    return "anthropic" if model.startswith("claude") else "openai"


def _account(provider: str, deployment_id: str, params: Mapping[str, Any]) -> Account:
    base = _text(params.get("api_base"))
    host = urlsplit(base).netloc.rpartition("@")[2].lower()
    if provider == "anthropic":
        base = base.removesuffix("/").removesuffix("/messages").removesuffix("/v1")
    return Account(
        name=f"{host or _DEFAULT_HOSTS.get(provider, provider)}/{deployment_id}",
        provider=provider,
        api_key=_text(params.get("api_key")) or os.environ.get(_KEYS.get(provider, ""), ""),
        base_url=base,
        api_version=_text(params.get("api_version")),
    )


def _text(value: object) -> str:
    """A setting of LiteLLM's: `os.environ/NAME` stands for what is there."""
    if not isinstance(value, str):
        return ""
    return os.environ.get(value.removeprefix(_ENVIRON), "") if value.startswith(_ENVIRON) else value
