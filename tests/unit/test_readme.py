"""What README and docs/ name is there: commands, options, files, variables, metrics, the tables' keys and defaults."""

import re
import shlex
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

from fivelevers import metrics, policy
from fivelevers.cli import app
from fivelevers.order import LEVER_NAMES, LEVERS
from fivelevers.price_overrides import load_overrides
from fivelevers.prices import Kind

ROOT = Path(__file__).parents[2]
DOCS = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))
PAGES = ("README.md", *DOCS, "litellm_config/README.md", "envoy/README.md")
README = (ROOT / "README.md").read_text()
TEXT = "\n".join((ROOT / page).read_text() for page in ("README.md", *DOCS))
VARIABLE = re.compile(r"^(FIVELEVERS|LITELLM|OPENAI|ANTHROPIC|PROMETHEUS)_[A-Z_]+$")


def blocks(text: str, *languages: str) -> list[str]:
    return [body for language, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S) if language in languages]


def yaml_with(key: str) -> str:
    (found,) = (block for block in blocks(TEXT, "yaml") if key in yaml.safe_load(block))
    return found


def command_lines() -> Iterator[list[str]]:
    """Every command of our own, in blocks and in running text, without variables set before it."""
    for page in PAGES:
        text = (ROOT / page).read_text()
        lines = [line.removeprefix("$ ") for block in blocks(text, "sh", "console") for line in block.splitlines()]
        for line in [*lines, *re.findall(r"`((?:make|fivelevers) [^`]+)`", text)]:
            if line.startswith(("make ", "fivelevers ")):
                yield shlex.split(line, comments=True)


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    section = re.split(rf"^#+ {heading}\n", TEXT, maxsplit=1, flags=re.M)[1].split("\n## ", 1)[0]
    table = re.findall(r"^\|.*\|$", section, re.M)[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


@pytest.mark.parametrize("words", list(command_lines()), ids=shlex.join)
def test_commands_are_real(words: list[str]) -> None:
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M)
        assert {word for word in words[1:] if "=" not in word} <= set(targets)
        return
    group: Any = typer.main.get_command(app)
    name, *arguments = words[1:]
    group.commands[name].make_context(name, arguments)  # parses, and runs nothing


def test_both_programs_are_found_in_the_text() -> None:
    assert {words[0] for words in command_lines()} == {"make", "fivelevers"}


def test_the_policy_example_is_a_policy() -> None:
    parsed = policy.parse(yaml_with("routes"))
    assert [route.name for route in parsed.routes] == ["checkout-assistant", "anthropic-clients", "nightly", "default"]


def test_the_policy_table_has_every_key_with_its_default() -> None:
    told = {key.strip("`"): default.strip("`") for key, default, _ in rows("The policy")}
    expected = {
        **fields(policy.Policy),
        "defaults": {},
        "include": [],
        **{name: default for name, default in fields(policy.Route).items() if name != "match"},
        **{f"match.{name}": "any" for name in fields(policy.Match)},
        **{f"levers.<lever>.{name}": default for name, default in fields(policy.LeverSwitch).items()},
        **{f"levers.{lever}.{name}": default for lever, name, default in settings()},
    }
    del expected["levers"]
    assert {key: default if default in _WORDS else yaml.safe_load(default) for key, default in told.items()} == expected


_WORDS = ("any", "off", "required", "none")  # in a table they stand for themselves


def settings() -> Iterator[tuple[str, str, Any]]:
    """(lever, key, default) of what a lever has beside mode and percent."""
    for lever, field in policy.Levers.model_fields.items():
        for name, default in fields(type(field.default)).items():
            if name not in policy.LeverSwitch.model_fields:
                yield lever, name, default


def fields(model: type[BaseModel]) -> dict[str, Any]:
    """Defaults by name, as YAML has them; of a mapping within, `name.key`."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else field.get_default(call_default_factory=True)
        if isinstance(default, policy.Embedder | policy.Judge):
            found |= {
                f"{name}.{key}": "none" if value is None else value for key, value in fields(type(default)).items()
            }
        elif name == "cascade":
            found |= {name: "none", **{f"{name}.{key}": value for key, value in fields(policy.CascadeSwitch).items()}}
        else:
            found[name] = "none" if default is None else list(default) if isinstance(default, tuple) else default
    return found


def test_the_levers_stand_in_their_order() -> None:
    table = re.findall(r"^\| (\d) \| ([^|]+) \| `(\w+)` \|", README, re.M)
    assert table == [(str(lever.number), lever.title, lever.name) for lever in LEVERS]
    assert set(policy.Levers.model_fields) == set(LEVER_NAMES)


def test_the_override_example_is_an_override_file(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(yaml_with("overrides"))
    discount, provisioned, own = load_overrides(file)
    assert discount.discount == Decimal("0.12")
    assert provisioned.terms is not None
    assert provisioned.terms.live[Kind.OUTPUT] == 0
    assert own.terms is not None
    assert own.terms.live[Kind.INPUT] == Decimal("2E-7")


def test_the_litellm_lines_are_those_of_the_shipped_config() -> None:
    shipped = yaml.safe_load((ROOT / "litellm_config/config.yaml").read_text())
    for block in blocks(TEXT, "yaml"):
        lines = yaml.safe_load(block)
        if "litellm_settings" in lines:
            assert lines["litellm_settings"]["callbacks"] == shipped["litellm_settings"]["callbacks"]
            assert lines.get("general_settings", {}).items() <= shipped["general_settings"].items()


def test_the_python_example_compiles() -> None:
    (example,) = blocks(TEXT, "python")
    compile(example, "docs", "exec")


def test_variables_are_read_somewhere() -> None:
    named = {word for word in re.findall(r"`(\w+)`", TEXT) if VARIABLE.match(word)}
    sources = [*(ROOT / "plugins").rglob("*.py"), ROOT / "litellm_config/config.yaml"]
    read = {word for file in sources for word in re.findall(r"\b[A-Z]+_[A-Z_]+\b", file.read_text())}
    assert len(named) > 10
    assert named <= read


def test_metrics_exist() -> None:
    named = set(re.findall(r"`(fivelevers_\w+)`", TEXT))
    known = {name for family in metrics.registry.collect() for name in (family.name, f"{family.name}_total")}
    assert len(named) > 5
    assert named <= known


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text()):
        file, _, anchor = target.partition("#")
        linked = (ROOT / page).parent / file if file else ROOT / page
        assert linked.exists(), target
        headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.M) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, target
