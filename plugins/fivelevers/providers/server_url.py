"""The address of a model's own server, as people write it."""

from __future__ import annotations

from urllib.parse import urlsplit

from fivelevers.errors import ServerError


def server_url(url: str) -> str:
    """Without `/v1`. Raises ServerError where it is none."""
    found = url.rstrip("/").removesuffix("/v1")
    try:
        parts = urlsplit(found)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ServerError(f"{url!r} is no URL of a server; write http://HOST:PORT")
    return found
