"""Run the simulator: `python -m examples.provider_simulator`."""

import argparse
import asyncio
import socket
from pathlib import Path
from typing import Any

import uvicorn
import yaml

from examples.provider_simulator.app import create_app
from examples.provider_simulator.batch_settings import Settings
from examples.provider_simulator.replicas import KV_TOKENS, RATE, Replicas
from examples.provider_simulator.simulator import Simulator

_EXAMPLES = """
examples:
  python -m examples.provider_simulator --port 8900
  curl -s localhost:8900/v1/chat/completions -H 'authorization: Bearer sk-demo' -H 'content-type: application/json' \\
       -d '{"model": "gpt-4.1", "messages": [{"role": "user", "content": "What is 17 * 23 + 4?"}]}'
  curl -s localhost:8900/sim/bill
  curl -s localhost:8900/sim/faults -d '{"fault": "429", "match": {"model": "gpt-4.1"}, "times": 2}'
  curl -s localhost:8900/sim/clock -d '{"advance_s": 300}'
"""


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        print(f"provider simulator on http://{host}:{port}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.provider_simulator",
        description="OpenAI and Anthropic APIs with prices, prompt caches, faults and a bill; no model behind them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="fixes which answers are right and which faults hit")
    parser.add_argument("--latency-scale", type=float, default=1.0, help="0 answers at once (%(default)s)")
    parser.add_argument("--keys", type=Path, help="YAML of `name: key`: only these keys are let in; bills show names")
    parser.add_argument("--faults", type=Path, help="YAML or JSON with fault rules, as for POST /sim/faults")
    parser.add_argument("--batch-seconds", type=float, help="that every batch takes; without it each draws its own")
    parser.add_argument("--replica-kv-tokens", type=int, default=KV_TOKENS, help="that each holds (%(default)s)")
    parser.add_argument("--replica-rate", type=float, default=RATE, help="prompt tokens a second (%(default)s)")
    return parser.parse_args()


def _simulator(args: argparse.Namespace) -> Simulator:
    keys = {str(key): str(name) for name, key in _read(args.keys).items()} if args.keys else None
    replicas = Replicas(args.replica_kv_tokens, args.replica_rate)
    sim = Simulator(
        seed=args.seed,
        latency_scale=args.latency_scale,
        keys=keys,
        replicas=replicas,
        batch_settings=Settings(seconds=args.batch_seconds),
    )
    if args.faults:
        sim.faults.add(_read(args.faults))
    return sim


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def main() -> None:
    args = _arguments()
    config = uvicorn.Config(
        create_app(_simulator(args)),
        host=args.host,
        port=args.port,
        log_level="critical",
        lifespan="off",
        timeout_keep_alive=75,  # as providers' front ends do: a pooled connection must not close under a request
    )
    asyncio.run(_Server(config).serve())


if __name__ == "__main__":
    main()
