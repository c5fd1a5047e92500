"""`fivelevers demo --retreat`: a lever that was proven, a world that changed, and the guard that calls it back.

Each step is a command that every user has; what stands below a `$` is what it said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from fivelevers.cli.tables import reconciliation_table
from fivelevers.embedded.files import checkout
from fivelevers.embedded.stack import Stack
from fivelevers.errors import StackError
from fivelevers.order import Mode
from fivelevers.policy.editing import edited

_EXAMPLE = Path("examples/retreat")
_SETTLES_S = 3.0  # until the ledger has what the proxies still hold
_MODEL = (
    "A model at half the price comes in by the door: both models answer 200 prompts, and the certificate says route. "
    "Then the model gets worse, which no certificate foresees: the same prompt must be asked four times until its "
    "answer is right. Callers look at each answer, post its outcome, and ask again. Half of the sessions are treated, "
    "so that seconds tell what takes weeks with a holdout of 2 %."
)
_CACHE = (
    "A cache that is calibrated and then wrong. People ask a music school about its halls, in other words each time and"
    " with words that change nothing: for a choir, for a friend. Months of questions are labelled, and the calibration "
    "says serve. Then the holidays come: in a tenth of the questions these words do change the answer, and nobody told "
    "the cache. Audits would find it in time; here the callers do, by the outcomes that they post."
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A running stack, and the folder that its policy is in."""

    stack: Stack
    folder: Path
    root: Path
    console: Console

    def tell(self, text: str) -> None:
        self.console.print(f"\n{text}", markup=False)

    def show(self, command: str, *, below: str = "") -> None:
        """Run a command of ours; print what it says, from the line that begins with ``below`` on. Raises StackError."""
        self.console.print(f"\n$ fivelevers {command}", style="bold", soft_wrap=True, markup=False)
        said = self._run("fivelevers", *command.split()).stdout
        lines = said[max(said.find(below), 0) :].strip("\n").splitlines()
        self.console.print("\n".join(line.rstrip() for line in lines), soft_wrap=True, markup=False)

    def play(self, *words: str) -> bool:
        """Run a part of the example; whether the lever retreated. Raises StackError."""
        places = ("--base-url", self.stack.envoy_url, "--simulator", self.stack.simulator_url)
        done = self._run("examples.retreat", *words, *places, "--key", self.stack.master_key, fine=(0, 1))
        if done.stdout:
            self.tell(done.stdout.strip())
        return done.returncode == 0

    def switch_on(self, route: str, lever: str) -> None:
        """For half of the sessions. Proxies follow within a second."""
        file = self.folder / "fivelevers.yaml"
        text = edited(file.read_text(encoding="utf-8"), str(file), route, lever, {"mode": Mode.ON, "percent": 50.0})
        file.write_text(text, encoding="utf-8")
        self.console.print(f"\n  routes.{route}.levers.{lever}: mode: on, percent: 50", style="bold", markup=False)

    def prepare(self, *words: str) -> None:
        """Have the example write a file into the folder. Raises StackError."""
        self._run("examples.retreat", *words)

    def _run(self, module: str, *words: str, fine: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(  # noqa: S603  our own interpreter and modules
            [sys.executable, "-m", module, *words],
            cwd=self.folder, env=self._env(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode not in fine:
            said = (done.stderr + done.stdout).strip()[-2000:]
            raise StackError(f"{module} {words[0]}: ended with exit code {done.returncode}: {said}")
        return done

    def _env(self) -> dict[str, str]:
        return os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(self.root), os.environ.get("PYTHONPATH")])),
            "FIVELEVERS_STATE_DIR": str(self.stack.state_dir),
            "FIVELEVERS_LEDGER_URL": self.stack.ledger_url,
            "FIVELEVERS_REDIS_URL": self.stack.redis_url,
            "FIVELEVERS_POLICY": str(self.folder / "fivelevers.yaml"),
            "FIVELEVERS_URL": self.stack.litellm_url,
            "LITELLM_MASTER_KEY": self.stack.master_key,
        }


def played(state_dir: Path, workers: int, console: Console) -> bool:
    """Whether the lever retreated, and the ledger agrees with the bill. Raises StackError, LedgerError."""
    root = checkout()
    if root is None:
        raise StackError("no examples here: run the demo in a checkout of fivelevers")
    folder = state_dir / "policy"
    folder.mkdir()
    shutil.copy(root / _EXAMPLE / "fivelevers.yaml", folder)
    stack = Stack(
        state_dir,
        workers=workers,
        config=root / _EXAMPLE / "litellm.yaml",
        policy=folder / "fivelevers.yaml",
        simulator_args=("--latency-scale", "0"),
        tell=lambda step: console.print(f"  {step}", style="dim"),
    )
    with stack:
        scene = Scene(stack, folder, root, console)
        retreated = dear_model(scene)
        retreated = wrong_cache(scene) and retreated
        return _agrees(scene) and retreated


def dear_model(scene: Scene) -> bool:
    """Half the price, four calls for one answer: whether lever 4 retreats. Raises StackError."""
    scene.tell(_MODEL)
    scene.prepare("prompts", "--out", "invoices.jsonl")
    asked = "--models strong,half-price --prompts invoices.jsonl --python examples.retreat.sums:right"
    scene.show(f"route benchmark --route invoices {asked} --out labelled.jsonl --max-tokens 100 --yes")
    fit = "route fit labelled.jsonl --strong openai/gpt-5.6 --epsilon 0.05 --out invoices.route"
    scene.show(fit, below="Verdict:")
    return _retreated(scene, "invoices", "model")


def wrong_cache(scene: Scene, holidays: float = 0.1, stored: int = 240) -> bool:
    """``holidays``: the share of the hits that is wrong; ``stored``: questions that the store has when it begins to
    serve. Whether lever 2 retreats. Raises StackError."""
    scene.tell(_CACHE)
    scene.play("shadow", "--sessions", str(stored))
    scene.prepare("pairs", "--out", "halls.jsonl")
    time.sleep(_SETTLES_S)
    scene.show("calibrate semantic-cache --route halls --pairs halls.jsonl", below="halls serves")
    scene.switch_on("halls", "semantic_cache")
    time.sleep(_SETTLES_S)
    return _retreated(scene, "halls", "cache", "--holidays", str(holidays))


def _retreated(scene: Scene, route: str, *part: str) -> bool:
    since = datetime.now(UTC)
    retreated = scene.play(*part)
    time.sleep(_SETTLES_S)
    scene.show(f"report --by arm --since {since:%Y-%m-%dT%H:%M:%SZ}")
    scene.show(f"plan --route {route}")
    return retreated


def _agrees(scene: Scene) -> bool:
    from fivelevers.embedded import bill

    told = bill.settled(scene.stack.ledger_url, scene.stack.simulator_url)
    scene.tell("")
    scene.console.print(reconciliation_table(told))
    return told.agreed
