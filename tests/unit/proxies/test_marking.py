"""Which endpoints get OpenAI's cache fields."""

from __future__ import annotations

import pytest

from fivelevers.proxies.litellm.marking import is_openai


@pytest.fixture(autouse=True)
def _no_bases(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "FIVELEVERS_OPENAI_HOSTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("base", [None, "", "https://api.openai.com/v1", "https://eu.api.openai.com/v1"])
def test_openai_s_own(base: str | None) -> None:
    assert is_openai(base)


@pytest.mark.parametrize(
    "base",
    ["http://vllm:8000/v1", "https://api.openai.com.evil.example/v1", "https://api.openai.com@evil.example/v1", "x"],
)
def test_others(base: str) -> None:
    assert not is_openai(base)


def test_a_base_in_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", "http://gateway.internal/v1")
    assert not is_openai(None)
    assert is_openai("https://api.openai.com/v1")


def test_hosts_that_are_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIVELEVERS_OPENAI_HOSTS", "gateway.internal, 127.0.0.1:8900")
    assert is_openai("https://gateway.internal/v1")
    assert is_openai("https://gateway.internal:8443/v1")
    assert is_openai("http://127.0.0.1:8900/v1")
    assert not is_openai("http://127.0.0.1:8901/v1")
