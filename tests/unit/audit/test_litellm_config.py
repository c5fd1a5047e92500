"""Each line of a LiteLLM config that clashes is named, and the shipped config has none."""

from pathlib import Path

import pytest

from fivelevers.audit.litellm_config import PLUGIN, Host, clashes
from fivelevers.policy.document import read_document

ROOT = Path(__file__).parents[3]
ALONE = Host(workers=1, replicas=1, ledger_url="sqlite:///ledger.db", environment={})
LISTED = f'litellm_settings: {{callbacks: ["{PLUGIN}"]}}\n'


def told(*texts: str, host: Host = ALONE) -> list[str]:
    parts = [read_document(text, f"part{at}.yaml" if at else "config.yaml") for at, text in enumerate(texts)]
    return [str(problem) for problem in clashes(parts, host)]


def test_the_shipped_config_has_none() -> None:
    assert not told((ROOT / "litellm_config/config.yaml").read_text())


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"litellm_settings:\n  callbacks: ['{PLUGIN}']\n  cache: true", "config.yaml:3: litellm_settings.cache: True"),
        (
            f"litellm_settings:\n  callbacks: ['{PLUGIN}']\n  enable_anthropic_prompt_caching: true",
            "config.yaml:3: litellm_settings.enable_anthropic_prompt_caching: True marks the same prompts",
        ),
        (
            f"{LISTED}general_settings:\n  enable_anthropic_prompt_caching: true",
            "config.yaml:3: general_settings.enable_anthropic_prompt_caching: True",
        ),
        (
            (
                f"{LISTED}model_list:\n- model_name: chat\n  litellm_params:\n    model: a/b\n"
                "    enable_anthropic_prompt_caching: true"
            ),
            "config.yaml:6: model_list.chat.litellm_params.enable_anthropic_prompt_caching: True",
        ),
        (
            (
                f"{LISTED}model_list:\n- model_name: chat\n  litellm_params:\n    model: a/b\n"
                "    cache_control_injection_points: [{location: message, role: system}]"
            ),
            "config.yaml:6: model_list.chat.litellm_params.cache_control_injection_points: [{",
        ),
        *(
            (
                f"{LISTED}model_list:\n- model_name: chat\n  litellm_params: {{model: {model}}}",
                f"config.yaml:4: model_list.chat.litellm_params.model: '{model}' chooses the model before lever 4",
            )
            for model in (
                "auto_router/any",
                "auto_router/complexity_router",
                "auto_router/adaptive_router",
                "auto_router/quality_router",
            )
        ),
        (f"{LISTED}router_settings:\n  plugins: [a.b]", "config.yaml:3: router_settings.plugins: ['a.b']"),
        (
            f"{LISTED}router_settings:\n  optional_pre_call_checks:\n  - other\n  - prompt_caching",
            "config.yaml:5: router_settings.optional_pre_call_checks[1]: 'prompt_caching' pins replicas",
        ),
        (
            f"{LISTED}general_settings:\n  always_include_stream_usage: false",
            "config.yaml:3: general_settings.always_include_stream_usage: False",
        ),
        ("model_list: []", "config.yaml:1: litellm_settings.callbacks: None does not list the plugin"),
        (
            "litellm_settings:\n  callbacks: [prometheus]",
            "config.yaml:2: litellm_settings.callbacks: ['prometheus'] does not list the plugin",
        ),
        (
            f"litellm_settings:\n  callbacks: [{PLUGIN}]\n  success_callback:\n  - {PLUGIN}",
            f"config.yaml:4: litellm_settings.success_callback[0]: '{PLUGIN}' is listed before",
        ),
    ],
)
def test_a_clash_is_named_with_its_line_its_reason_and_what_to_write(text: str, place: str) -> None:
    (problem,) = told(text)
    assert problem.startswith(place)
    assert "; " in problem


@pytest.mark.parametrize(
    "text",
    [
        f"litellm_settings: {{callbacks: {PLUGIN}, cache: false, enable_anthropic_prompt_caching: false}}",
        f"{LISTED}general_settings: {{always_include_stream_usage: true}}",
        f"{LISTED}router_settings: {{optional_pre_call_checks: [other], plugins: []}}",
        f"{LISTED}model_list: [3, {{litellm_params: 3}}, {{litellm_params: {{model: 3}}}}]",
        f"{LISTED}model_list: 3\nrouter_settings: 3",
    ],
)
def test_what_does_not_clash_is_left_alone(text: str) -> None:
    assert not told(text)


def test_included_files_are_parts_of_the_config() -> None:
    assert not told("include: [part1.yaml]", LISTED)
    (problem,) = told(LISTED, "router_settings: {plugins: [a]}")
    assert problem.startswith("part1.yaml:1: router_settings.plugins")


@pytest.mark.parametrize(
    ("host", "says"),
    [
        (Host(1, 2, "sqlite:///x.db", {}), "FIVELEVERS_LEDGER_URL: 'sqlite:///x.db' is a file of one machine"),
        (Host(1, 2, "postgresql+psycopg://h/d", {}), None),
        (Host(2, 1, "sqlite:///x.db", {}), "PROMETHEUS_MULTIPROC_DIR: '' is not set: a scrape shows one of 2 workers"),
        (Host(2, 1, "sqlite:///x.db", {"PROMETHEUS_MULTIPROC_DIR": "d"}), None),
        (
            Host(1, 1, "sqlite:///x.db", {"LITELLM_ENABLE_ANTHROPIC_PROMPT_CACHING": "True"}),
            "LITELLM_ENABLE_ANTHROPIC_PROMPT_CACHING: 'true' marks",
        ),
    ],
)
def test_how_the_proxy_runs_may_clash_too(host: Host, says: str | None) -> None:
    problems = told(LISTED, host=host)
    assert len(problems) == (says is not None)
    assert says is None or problems[0].startswith(says)
