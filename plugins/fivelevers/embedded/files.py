"""The configuration files that a stack runs on: given ones, else those of the checkout."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fivelevers.errors import StackError

_CONFIG = "litellm_config/config.yaml"
_POLICY = "litellm_config/fivelevers.yaml"
_ENVOY = "envoy/envoy.yaml"
_KEYS = "examples/traffic/keys.yaml"


@dataclass(frozen=True, slots=True)
class StackFiles:
    """Absolute paths. `simulator_root` is the folder that `python -m examples.provider_simulator` runs in."""

    config: Path
    envoy: Path
    policy: Path | None
    keys: Path | None
    simulator_root: Path | None

    @classmethod
    def find(
        cls,
        env: Mapping[str, str],
        *,
        config: Path | None = None,
        envoy: Path | None = None,
        policy: Path | None = None,
        keys: Path | None = None,
    ) -> Self:
        """Arguments first, then FIVELEVERS_POLICY and FIVELEVERS_KEYS, then the checkout."""
        root = checkout()
        return cls(
            config=_required(config, root, _CONFIG, "--config"),
            envoy=_required(envoy, root, _ENVOY, "--envoy-config"),
            policy=_optional(policy, env.get("FIVELEVERS_POLICY"), root, _POLICY, "--policy"),
            keys=_optional(keys, env.get("FIVELEVERS_KEYS"), root, _KEYS, "--keys"),
            simulator_root=root,
        )


def checkout() -> Path | None:
    """Root of the source tree around this file or the current directory; None for a wheel that runs elsewhere."""
    for start in (Path(__file__).resolve().parents[3], Path(os.getcwd())):
        for folder in (start, *start.parents):
            if (folder / _CONFIG).is_file() and (folder / "plugins/fivelevers").is_dir():
                return folder
    return None


def _required(given: Path | None, root: Path | None, relative: str, option: str) -> Path:
    found = _optional(given, None, root, relative, option)
    if found is None:
        raise StackError(f"no {relative} here: run in a checkout of fivelevers, or name yours with {option}")
    return found


def _optional(given: Path | None, named: str | None, root: Path | None, relative: str, option: str) -> Path | None:
    chosen = given or (Path(named) if named else None)
    if chosen is not None:
        if not chosen.is_file():
            raise StackError(f"{option}: {str(chosen)!r} is not a file; give the path of one")
        return chosen.resolve()
    packaged = root / relative if root else None
    return packaged if packaged and packaged.is_file() else None
