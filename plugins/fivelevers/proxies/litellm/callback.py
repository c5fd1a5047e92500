"""The plugin that LiteLLM loads: ``callbacks: ["fivelevers.proxies.litellm.callback.plugin"]``.

On a LiteLLM that the hooks were not tested on they are not even imported: such a version may lack what they need.
"""

from __future__ import annotations

from typing import Any

from fivelevers.proxies.litellm.stand_aside import StandAside
from fivelevers.proxies.litellm.versions import lacking, refusal


def _plugin() -> Any:
    why = refusal()
    if why:
        return StandAside(why)
    try:
        from fivelevers.proxies.litellm import hooks
    except ImportError as error:
        if not (error.name or "").startswith("litellm"):
            raise
        return StandAside(lacking(error))
    return hooks.plugin


plugin = _plugin()
