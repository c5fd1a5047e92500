"""`fivelevers up`: start the stack and keep it until Ctrl-C, a signal or `fivelevers down`."""

import json
import shlex
import time
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.panel import Panel

from fivelevers.cli.options import STATE_DIR, StateDir
from fivelevers.embedded.interrupt import Interrupted, interruptible
from fivelevers.embedded.stack import Stack
from fivelevers.errors import StackError

_CHECK_EVERY_S = 1.0


def up(
    *,
    state_dir: StateDir = STATE_DIR,
    workers: Annotated[int, typer.Option(min=1, help="LiteLLM worker processes.")] = 1,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Envoy's port; 0 takes a free one.")] = 0,
    config: Annotated[Path | None, typer.Option(help="LiteLLM's config; default: the checkout's.")] = None,
    policy: Annotated[Path | None, typer.Option(help="The policy file; default: the checkout's.")] = None,
    keys: Annotated[Path | None, typer.Option(help="The key file for custom_auth; default: the checkout's.")] = None,
    envoy_config: Annotated[Path | None, typer.Option(help="Envoy's config; default: the checkout's.")] = None,
    simulator: Annotated[bool, typer.Option(help="Simulate the providers, or call the real ones.")] = True,
) -> None:
    """Start Redis, LiteLLM with the plugin and Envoy on this machine, and keep them running."""
    console = Console(highlight=False)
    try:
        with interruptible():
            stack = Stack(
                state_dir,
                workers=workers,
                config=config,
                policy=policy,
                keys=keys,
                envoy=envoy_config,
                simulator=simulator,
                port=port,
                tell=lambda step: console.print(f"  {step}"),
            )
            _run(stack, console)
    except Interrupted:
        console.print("stopped")
    except StackError as error:
        Console(stderr=True, highlight=False).print(f"fivelevers up: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error


def _run(stack: Stack, console: Console) -> None:
    """Until the stack breaks or somebody stops it."""
    with console.status("starting"):
        stack.start()
    try:
        console.print(Panel(_where(stack), title="fivelevers is up", expand=False, padding=(1, 2)))
        console.print("Try it:\n")
        console.print(curl_example(stack), markup=False, soft_wrap=True)
        console.print("\nCtrl-C or [bold]fivelevers down[/bold] stops it.")
        while True:
            stack.check()
            time.sleep(_CHECK_EVERY_S)
    finally:
        stack.stop()


def _where(stack: Stack) -> str:
    lines = {
        "Envoy": f"{stack.envoy_url}   (send requests here)",
        "LiteLLM": stack.litellm_url,
        "Simulator": stack.simulator_url or "none: real providers",
        "Redis": stack.redis_url,
        **({"Lane's Redis": stack.lane_redis_url} if stack.lane_redis_url else {}),
        "Envoy admin": stack.envoy_admin_url,
        "Ledger": stack.ledger_url,
        "Logs": str(stack.logs_dir),
    }
    return "\n".join(f"{name:<13} {value}" for name, value in lines.items())


def curl_example(stack: Stack) -> str:
    """A request that works: a key of the key file, or the master key where there is none, and a model it may use."""
    key: dict[str, Any] = {"key": stack.master_key}
    if stack.files.keys:
        key = yaml.safe_load(stack.files.keys.read_text())["keys"][0]
    models = key.get("models") or [yaml.safe_load(stack.files.config.read_text())["model_list"][0]["model_name"]]
    body = json.dumps({"model": models[0], "messages": [{"role": "user", "content": "What is 17 * 23 + 4?"}]})
    return (
        f"curl {stack.envoy_url}/v1/chat/completions \\\n"
        f"  -H 'Authorization: Bearer {key['key']}' -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(body)}"
    )
