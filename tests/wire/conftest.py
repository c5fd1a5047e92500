"""One stack for all tests that talk to the real proxy: a boot costs more than everything that they do with it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest
import yaml

from fivelevers.embedded.ports import HOST, Port
from fivelevers.embedded.stack import Stack
from fivelevers.stores.ledger import Ledger
from tests.wire import answering, batching, caching, cascades, fleet, quantized, retreats, tiers
from tests.wire.proxy import Proxy
from tests.wire.stack_host import family, still_alive

ROOT = Path(__file__).parents[2]

# What the tests need beside the shipped config: quick failure instead of patience.
IMPATIENT = [
    {"model_name": f"impatient-{name}", "litellm_params": {"model": model, "timeout": 1.0, **upstream}}
    for name, model, upstream in (
        ("gpt", "openai/gpt-4.1", {"api_base": "os.environ/OPENAI_API_BASE", "api_key": "os.environ/OPENAI_API_KEY"}),
        (
            "claude",
            "anthropic/claude-sonnet-4-5",
            {"api_base": "os.environ/ANTHROPIC_API_BASE", "api_key": "os.environ/ANTHROPIC_API_KEY"},
        ),
    )
]
UNPRICED = {
    "model_name": "unpriced",
    "litellm_params": {
        "model": "openai/gpt-4.1",
        "api_base": "os.environ/OPENAI_API_BASE",
        "api_key": "sk-simulated-unpriced",
    },
    "model_info": {"id": "unpriced-deployment", "base_model": "openai/model-that-no-map-knows"},
}
# Its config states a price, exact in no binary fraction; the simulator's bill has another.
PRICED = {
    "model_name": "priced",
    "litellm_params": {
        "model": "openai/gpt-4.1",
        "api_base": "os.environ/OPENAI_API_BASE",
        "api_key": "sk-simulated-unpriced",
        "input_cost_per_token": 1.1e-7,
        "output_cost_per_token": 7e-7,
    },
}

CONTENT_KEY = b64encode(b"thirty-two bytes for these tests").decode()

# LiteLLM waits up to 2.75 s before each retry; what happens is the same after a shorter wait.
SOON = {"INITIAL_RETRY_DELAY": "0.05", "MAX_RETRY_DELAY": "0.1", "JITTER": "0"}


@pytest.fixture(scope="session")
def planting_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tests/wire/planting.py writes down what LiteLLM did."""
    log = tmp_path_factory.mktemp("planting") / "hooks.jsonl"
    log.touch()
    return log


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory, planting_log: Path) -> Iterator[Proxy]:
    """The shipped stack with two proxy workers, a policy file that tests may edit, and keys of every role."""
    folder = tmp_path_factory.mktemp("proxy")
    config = yaml.safe_load((ROOT / "litellm_config/config.yaml").read_text())
    simulator = Port()  # known before it runs: a replica's address stands in the config
    config["model_list"] += [*IMPATIENT, UNPRICED, PRICED, *caching.MODELS, *answering.MODELS]
    config["model_list"] += [*batching.MODELS, *tiers.MODELS, *cascades.MODELS, *retreats.MODELS]
    config["model_list"] += fleet.models(f"http://{HOST}:{simulator.number}")
    config["model_list"] += quantized.write(folder, f"http://{HOST}:{simulator.number}")
    # Cool-downs would make one test's faults another test's 429.
    config["router_settings"] = {"disable_cooldowns": True}
    config["litellm_settings"]["callbacks"] = ["tests.wire.impatient.plugin", "tests.wire.planting.planter"]
    config["litellm_settings"]["custom_provider_map"] = cascades.PROVIDER_MAP
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    tiers.write(folder)
    cascades.write(folder)
    routes = [*caching.ROUTES, *answering.ROUTES, *fleet.ROUTES, *batching.ROUTES, *tiers.ROUTES]
    routes += [*cascades.ROUTES, *quantized.ROUTES, *retreats.ROUTES]
    shipped = (ROOT / "litellm_config/fivelevers.yaml").read_text()  # its list of routes stands last
    (folder / "fivelevers.yaml").write_text(shipped + indent(yaml.safe_dump(routes), "  "))
    stack = Stack(
        folder / "state",
        workers=2,
        config=folder / "config.yaml",
        policy=folder / "fivelevers.yaml",
        keys=Path(__file__).parent / "keys.yaml",
        simulator_args=("--latency-scale", "0", "--seed", "7", "--port", str(simulator.number)),
        env={
            "FIVELEVERS_CONTENT_KEY": CONTENT_KEY,
            "PLANTING_LOG": str(planting_log),
            "PYTHONPATH": str(ROOT),
            **SOON,
            **batching.SOON,
        },
    )
    with stack:
        Ledger(stack.ledger_url).create()  # tests look into it before the first event is there
        running = Proxy(stack, policy=folder / "fivelevers.yaml")
        yield running
        running.http.close()
        pids = [pid for each in stack.pids.values() for pid in family(each)]
    assert not still_alive(pids, 0)
    simulator.release()


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The same proxy without the plugin."""
    folder = tmp_path_factory.mktemp("bare")
    config = yaml.safe_load((ROOT / "litellm_config/config.yaml").read_text())
    del config["litellm_settings"]["callbacks"]
    config["router_settings"] = {"disable_cooldowns": True}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    keys = ROOT / "tests/wire/keys.yaml"
    arguments = ("--latency-scale", "0", "--seed", "7")
    with Stack(folder / "state", config=folder / "config.yaml", keys=keys, simulator_args=arguments, env=SOON) as stack:
        yield stack


@pytest.fixture
def quiet(proxy: Proxy) -> Iterator[Proxy]:
    """The proxy with nothing going wrong at the provider, before and after."""
    proxy.no_faults()
    yield proxy
    proxy.no_faults()
