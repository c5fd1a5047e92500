"""Which batch API an account speaks."""

from __future__ import annotations

from collections.abc import Callable

from fivelevers.errors import BatchError
from fivelevers.levers.batch.lifecycle import Failure
from fivelevers.providers.batches import Account, BatchProvider

Open = Callable[[Account], BatchProvider]


def open_provider(account: Account) -> BatchProvider:
    """Raises BatchError for a provider whose batches nobody here speaks, or whose SDK is not installed."""
    try:
        if account.provider == "anthropic":
            from fivelevers.providers.anthropic_batches import AnthropicBatches

            return AnthropicBatches(account)
        from fivelevers.providers.openai_batches import OpenAIBatches

        return OpenAIBatches(account)
    except ImportError as error:
        fix = "pip install 'fivelevers[batch]'"
        raise BatchError(f"{error.name} is not installed: {fix}", Failure.NOT_DONE) from error
