"""`fivelevers fp8 serve`: vLLM's command for a checkpoint, its Kubernetes manifest, and what a server really runs."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console

from fivelevers.cli.fp8_told import config_of, told
from fivelevers.cli.logs import AsJson
from fivelevers.levers.quantization.checkpoint import BF16, Scheme, scheme_of
from fivelevers.levers.quantization.servers import Identity
from fivelevers.levers.quantization.serving import MOUNTED, Service, command, manifest, runs_as


def serve(
    folder: Annotated[Path, typer.Argument(help="The checkpoint's folder.")],
    *,
    name: Annotated[str, typer.Option(help="As it is asked for; default: the folder's name.")] = "",
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of one replica.")] = 1,
    context: Annotated[int, typer.Option(min=1, help="Tokens of a sequence.")] = 8192,
    concurrency: Annotated[int, typer.Option(min=1, help="Sequences at once.")] = 64,
    kubernetes: Annotated[bool, typer.Option("--kubernetes", help="A Kubernetes manifest instead.")] = False,
    replicas: Annotated[int, typer.Option(min=1, help="In the manifest.")] = 2,
    image: Annotated[str, typer.Option(help="In the manifest.")] = "vllm/vllm-openai:v0.23.0",
    verify: Annotated[str, typer.Option(help="The URL of a server: does it run this checkpoint as it should?")] = "",
    key: Annotated[str, typer.Option(envvar="VLLM_API_KEY", help="Of that server.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print vLLM's command for a checkpoint, or --kubernetes; with --verify look at a server that runs.

    The command never quantises: a checkpoint says itself how it is quantised, and what vLLM makes of a BF16 one while
    it loads is another model, worse, and not what the gate saw. Prefix caching is on, and cached tokens are told, so
    that they are priced.

    Exit code 0: fine; 1: the server is not as it should be; 2: could not run.
    """
    with told("serve"):
        served = name or folder.resolve().name
        service = Service(str(folder), served, gpus, context, concurrency, image)
        if verify:
            scheme = scheme_of(config_of(folder))
            found = asyncio.run(_asked(verify, key, name))
            problems = [*_problems(found, scheme, folder)]
            _tell(found, scheme, problems, as_json=as_json)
            raise typer.Exit(1 if problems else 0)
        if kubernetes:
            service = replace(service, model=f"{MOUNTED}/{folder.resolve().name}")
            label = re.sub(r"[^a-z0-9-]+", "-", served.lower()).strip("-")[:50]
            print(yaml.safe_dump_all(manifest(service, label, replicas), sort_keys=False), end="")  # noqa: T201
        elif as_json:
            print(json.dumps(command(service)))  # noqa: T201
        else:
            print(shlex.join(command(service)))  # noqa: T201


async def _asked(url: str, key: str, name: str) -> Identity:
    from fivelevers.providers.model_servers import ModelServer

    server = ModelServer(url, key, limit_s=30.0)
    try:
        return await server.identity(name)
    finally:
        await server.close()


def _problems(found: Identity, scheme: Scheme, folder: Path) -> Iterator[str]:
    if found.tells and (why := runs_as(scheme, found.quantization)) is not None:
        yield why
    if found.root is not None and Path(found.root).name != folder.resolve().name:
        yield f"it serves {found.root}, not {folder}"
    if found.prefix_cache is False:
        yield "prefix caching is off: lever 1 is worth nothing there; start it with --enable-prefix-caching"


def _tell(found: Identity, scheme: Scheme, problems: list[str], *, as_json: bool) -> None:
    if as_json:
        said = {"model": found.model, "root": found.root, "version": found.version, "context": found.context}
        said |= {"scheme": scheme.name, "reports": found.quantization if found.tells else "not told"}
        print(json.dumps(said | {"prefix_cache": found.prefix_cache, "problems": problems}, indent=1))  # noqa: T201
        return
    reports = (found.quantization or "unquantised") if found.tells else "nothing of it (VLLM_SERVER_DEV_MODE=1 tells)"
    version = f", version {found.version}" if found.version else ""
    lines = [f"{found.url}: {found.model}, from {found.root or 'it does not say'}{version}"]
    lines.append(
        f"the checkpoint is {'not quantised' if scheme == BF16 else scheme.name}; the server reports {reports}"
    )
    console = Console(highlight=False)
    for line in (*lines, *(f"No: {one}" for one in problems)):
        console.print(line, markup=False, soft_wrap=True)
    if scheme.warning:
        console.print(f"Beware: {scheme.warning}", markup=False, soft_wrap=True)
