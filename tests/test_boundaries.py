"""Imports run one way, and each outside name has one room."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "plugins/fivelevers"
FILES = sorted(PACKAGE.rglob("*.py"))

# Bottom up: a module imports its own layer and those before it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__init__",),
    # the words
    (
        "answer",
        "charge",
        "errors",
        "order",
        "request",
        "prices",
        "price_overrides",
        "policy",
        "output",
        "switch",
        "tools",
    ),
    ("levers", "adoption"),
    ("metering",),
    ("metrics", "pages", "stores", "providers", "audit"),
    (
        "meter",
        "engine",
        "content",
        "prefix_caching",
        "unread",
        "answer_caching",
        "answer_judging",
        "answer_guard",
        "lever_guard",
        "batched",
        "route_benchmark",
        "fp8_gate",
    ),
    ("lane",),
    ("proxies",),
    ("embedded",),
    ("cli", "__main__"),
)
ROOMS = {
    "litellm": ("proxies/litellm/",),
    "fastapi": ("proxies/litellm/",),
    "redis": ("stores/",),
    "redisvl": ("stores/",),
    "anthropic": ("providers/",),
    "openai": ("providers/",),
    "httpx": ("providers/",),
    "onnxruntime": ("providers/",),
    "tokenizers": ("providers/",),
    "sqlalchemy": ("stores/",),
    "alembic": ("stores/migrations/",),
    "cryptography": ("stores/",),
    "grpc": ("proxies/envoy/",),
    "grpc_health": ("proxies/envoy/",),
    "envoy": ("proxies/envoy/", "embedded/"),
    "google": ("proxies/envoy/",),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "prometheus_client": ("metrics.py",),
    "opentelemetry": ("proxies/litellm/spans.py",),
}
# The pure core: no clock, no environment, no files, no network.
PURE = (
    "order.py",
    "adoption.py",
    "request.py",
    "switch.py",
    "tools.py",
    "engine.py",
    "batched.py",
    "lane/contract.py",
    "levers/",
    "metering/",
    "pages/",
)
# What the plain install, which runs inside somebody's proxy, may lack: the extras of the levers.
EXTRAS = {"numpy", "scipy", "redisvl", "onnxruntime", "tokenizers", "grpc", "anthropic"}
IMPURE = {
    "os",
    "time",
    "random",
    "socket",
    "pathlib",
    "subprocess",
    "asyncio",
    "threading",
    "urllib",
    "logging",
    "secrets",
}


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, by full name."""
    yield from named(file, ast.walk(ast.parse(file.read_text())))


def named(file: Path, nodes: Iterable[ast.AST]) -> Iterator[str]:
    package = ("fivelevers", *file.relative_to(PACKAGE).parent.parts)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def loaded_with(files: Iterable[Path]) -> dict[str, str]:
    """Whatever is imported as these are loaded, and by which file."""
    found: dict[str, str] = {}
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        for module in named(file, ast.parse(file.read_text()).body):
            if module not in found:
                found[module] = name_of(file)
                path = PACKAGE.joinpath(*module.split(".")[1:])
                waiting += [one for one in (path.with_suffix(".py"), path / "__init__.py") if one in FILES]
    return found


def layer(module: str) -> int | None:
    """The layer of a module of ours, None for others'."""
    parts = module.split(".")
    if parts[0] != "fivelevers":
        return None
    top = parts[1] if len(parts) > 1 else "__init__"
    return next((at for at, names in enumerate(LAYERS) if top in names), None)


def test_every_module_has_a_layer() -> None:
    tops = {name_of(file).split("/")[0].removesuffix(".py") for file in FILES}
    assert tops <= {name for names in LAYERS for name in names}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_run_one_way(file: Path) -> None:
    own = layer("fivelevers." + name_of(file).removesuffix(".py").replace("/", "."))
    assert own is not None
    above = {module for module in imports(file) if (at := layer(module)) is not None and at > own}
    assert not above, f"{name_of(file)} is below what it imports"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_each_outside_name_has_its_room(file: Path) -> None:
    for module in imports(file):
        rooms = ROOMS.get(module.split(".")[0])
        assert rooms is None or name_of(file).startswith(rooms), f"{module} belongs in {rooms}"


@pytest.mark.parametrize("file", [f for f in FILES if name_of(f).startswith(PURE)], ids=name_of)
def test_the_core_is_pure(file: Path) -> None:
    assert not {module.split(".")[0] for module in imports(file)} & IMPURE


@pytest.mark.parametrize("file", [f for f in FILES if "cli" in f.parts], ids=name_of)
def test_no_command_loads_litellm(file: Path) -> None:
    assert not any(module.startswith(("litellm", "fivelevers.proxies.litellm")) for module in imports(file))


def test_the_plugin_loads_without_the_extras_of_its_levers() -> None:
    loaded = loaded_with(PACKAGE / "proxies/litellm" / name for name in ("callback.py", "cascade.py"))
    assert "fivelevers.engine" in loaded
    assert {module: by for module, by in loaded.items() if module.split(".")[0] in EXTRAS} == {}


def test_no_module_is_called_by_what_it_is_not() -> None:
    banned = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
    assert not {name_of(f) for f in FILES if f.stem in banned or banned & set(f.parts)}


def test_configurations_stay_out_of_the_package() -> None:
    # LiteLLM loads a module that it finds beside its config as a second copy.
    assert not list(PACKAGE.rglob("*.yaml"))
    assert not (PACKAGE.parents[1] / "envoy/__init__.py").exists()
