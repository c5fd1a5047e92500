"""Replay the traffic: `python -m examples.traffic --base-url http://127.0.0.1:10000`.

Exit codes: 0 every request was answered, 1 some failed, 2 could not run, 130 interrupted.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.traffic.keys import KEYS, load_keys
from examples.traffic.problems import TrafficError
from examples.traffic.replay import ReplayResult, replay
from examples.traffic.workload import Request, load_all


def main() -> int:
    args, console = _arguments(), Console()
    try:
        keys = load_keys(args.keys)
        requests = load_all(only=args.workload)[: args.limit]
    except TrafficError as problem:
        Console(stderr=True).print(f"could not run: {problem}", style="red", markup=False)
        return 2
    seen: list[ReplayResult] = []
    try:
        result = _replay(args, keys, requests, console, seen)
    except KeyboardInterrupt:
        console.print("interrupted")
        _report(console, seen[-1:], args.json)
        return 130
    except (TrafficError, ValueError) as problem:
        Console(stderr=True).print(f"could not run: {problem}", style="red", markup=False)
        return 2
    _report(console, [result], args.json)
    return 1 if result.failures or result.outcomes_refused else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.traffic", description="Replay the traffic through a proxy."
    )
    parser.add_argument("--base-url", required=True, help="the proxy's address, without /v1")
    parser.add_argument("--keys", type=Path, default=KEYS, help="key file (%(default)s)")
    parser.add_argument("--speed", type=float, default=60.0, help="60 replays an hour in a minute; 0 waits for nothing")
    parser.add_argument("--limit", type=_count, metavar="N", help="only the first N requests")
    parser.add_argument("--workload", help="support, handbook, coding-agent or tickets; all of them without")
    parser.add_argument(
        "--patient",
        action="append",
        default=[],
        metavar="WORKLOAD",
        help="its requests can wait for hours; again for more",
    )
    parser.add_argument("--concurrency", type=int, default=32, help="requests under way at once (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the result to this file")
    return parser.parse_args()


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return int(text)


def _replay(
    args: argparse.Namespace,
    keys: dict[str, str],
    requests: Sequence[Request],
    console: Console,
    seen: list[ReplayResult],
) -> ReplayResult:
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]} failed"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bar = progress.add_task("", total=len(requests), failed=0)

        def show(result: ReplayResult) -> None:
            seen[:] = [result]
            progress.update(bar, completed=result.requests, failed=len(result.failures))

        pace = {"speed": args.speed, "concurrency": args.concurrency, "patient": args.patient}
        return asyncio.run(replay(args.base_url, keys, requests, **pace, on_progress=show))


def _report(console: Console, results: Sequence[ReplayResult], out: Path | None) -> None:
    for result in results:
        console.print(
            f"{result.requests} requests in {result.wall_s:.1f} s, {len(result.failures)} failed; checked answers: "
            f"{result.successes} right, {result.wrong} wrong; outcomes: {result.outcomes_posted} posted, "
            f"{result.outcomes_refused} refused"
        )
        if result.failures:
            console.print(_failures(result))
        if out:
            out.write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")


def _failures(result: ReplayResult) -> Table:
    table = Table("status", "type", "requests", "the first of them", title="failures")
    for (status, kind), count in result.failure_counts.most_common():
        first = next(failure for failure in result.failures if (failure.status, failure.kind) == (status, kind))
        table.add_row(str(status or "-"), kind, str(count), f"{first.source} ({first.tenant}): {first.message}")
    return table


if __name__ == "__main__":
    sys.exit(main())
