"""The environment of the stack's processes."""

import os
from collections.abc import Mapping

# In front of the simulator nothing of the caller's shell may matter: a DATABASE_URL or a provider key that happens to
# be set would change what runs. Without the simulator the caller's providers are the point, and all of it passes.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_OURS = "FIVELEVERS_"

# No call to the outside at start, and no `.env` file of whatever folder we are in.
LITELLM_QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_MODE": "PRODUCTION",
    "PYTHONUNBUFFERED": "1",
}


def inherited(overrides: Mapping[str, str], *, simulated: bool) -> dict[str, str]:
    """This process's environment, or only what can not change a simulated stack; overrides on top."""
    passed = {name: value for name, value in os.environ.items() if not simulated or _harmless(name)}
    return {**passed, **overrides}


def upstream(simulator_url: str) -> dict[str, str]:
    """Both providers are the simulator; it takes any key, each a workspace of its own, and OpenAI's cache fields."""
    return {
        "OPENAI_API_BASE": f"{simulator_url}/v1",
        "OPENAI_API_KEY": "sk-simulated-openai",
        "ANTHROPIC_API_BASE": simulator_url,
        "ANTHROPIC_API_KEY": "sk-ant-simulated",
        "FIVELEVERS_OPENAI_HOSTS": simulator_url.partition("://")[2],
    }


def _harmless(name: str) -> bool:
    return name in _PASSED_ON or name.startswith(_OURS)
