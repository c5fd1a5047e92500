"""Several tenants without a database: LiteLLM ``custom_auth`` from a key file.

    general_settings:
      custom_auth: fivelevers.proxies.litellm.key_file.user_api_key_auth
      custom_auth_run_common_checks: true

The file (FIVELEVERS_KEYS) lists keys with their team, role and models; it is read again when it changes. The master key
stays valid as an admin key. With a database, use LiteLLM's own virtual keys instead.
"""

from __future__ import annotations

import hmac
import logging
import os
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import yaml
from fastapi import Request
from litellm.proxy._types import LitellmUserRoles, ProxyErrorTypes, ProxyException, UserAPIKeyAuth
from pydantic import BaseModel, ConfigDict, ValidationError

_log = logging.getLogger("fivelevers.keys")


class Key(BaseModel):
    """One caller. ``models`` are the aliases that the key may call; empty means all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    key_alias: str
    team_id: str | None = None
    team_alias: str | None = None
    user_id: str | None = None
    role: LitellmUserRoles = LitellmUserRoles.INTERNAL_USER
    models: tuple[str, ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[Key, ...]


class KeyFile:
    """The keys of a file; a file that is gone or damaged keeps the last good ones."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}
        self._hashes: frozenset[str] = frozenset()

    def find(self, key: str) -> Key | None:
        self._reload()
        return self._keys.get(key)

    def holds(self, key_hash: str) -> bool:
        """Whether a key with this SHA-256 stands in it: what is left of a key where it may not be kept."""
        self._reload()
        return key_hash in self._hashes

    def _reload(self) -> None:
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return
            self._seen = seen
            parsed = _File.model_validate(yaml.safe_load(self.path.read_text(encoding="utf-8")))
            self._keys = {entry.key: entry for entry in parsed.keys}
            self._hashes = frozenset(sha256(key.encode()).hexdigest() for key in self._keys)
        except (OSError, yaml.YAMLError, ValidationError) as error:
            level = logging.WARNING if self._keys else logging.ERROR
            _log.log(level, "key file %s is not usable, the last good keys stay: %s", self.path, error)


@lru_cache(maxsize=1)  # LiteLLM takes a bare function: its one file is read on first use
def _opened() -> KeyFile:
    return KeyFile(Path(os.environ.get("FIVELEVERS_KEYS", "keys.yaml")))


def holds(key_hash: str) -> bool:
    """Whether a key with this SHA-256 is good now, the master key included."""
    master = os.environ.get("LITELLM_MASTER_KEY", "")
    return key_hash == sha256(master.encode()).hexdigest() or _opened().holds(key_hash)


async def user_api_key_auth(request: Request, api_key: str) -> UserAPIKeyAuth:
    """LiteLLM's custom_auth entry point. A key that the file does not hold is answered with 401."""
    presented = api_key.removeprefix("Bearer ").strip()
    master = os.environ.get("LITELLM_MASTER_KEY", "")
    if master and hmac.compare_digest(presented.encode(), master.encode()):
        return UserAPIKeyAuth(api_key=presented, key_alias="master", user_role=LitellmUserRoles.PROXY_ADMIN)
    entry = _opened().find(presented)
    if entry is None:
        # Any other exception is a 500 of LiteLLM's where the Prisma client, which only a database needs, is missing.
        raise ProxyException(
            message="Authentication Error: this key is not in the key file (FIVELEVERS_KEYS)",
            type=ProxyErrorTypes.auth_error,
            param="api_key",
            code=401,
        )
    return UserAPIKeyAuth(
        api_key=presented,
        key_alias=entry.key_alias,
        team_id=entry.team_id,
        team_alias=entry.team_alias,
        user_id=entry.user_id,
        user_role=entry.role,
        models=list(entry.models),
    )
