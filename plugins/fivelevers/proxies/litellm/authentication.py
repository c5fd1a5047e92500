"""Who calls our own endpoints.

LiteLLM refuses ordinary keys on paths that it does not know. So a key is checked by LiteLLM's own authentication on a
copy of the request that names a path of LiteLLM's: one on which callers of models are allowed, or one of its admins'.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from fastapi import HTTPException, Request
from litellm.proxy._types import LitellmUserRoles, ProxyException
from litellm.proxy.auth.user_api_key_auth import user_api_key_auth

_PATHS_OF_CALLERS = ("/v1/models", "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings")
_PATH_OF_ADMINS = "/config/update"


async def any_caller(request: Request) -> Any:
    """LiteLLM's verdict on the caller's key; raises as LiteLLM does (401, 403 ...).

    A key may be limited to some paths (`allowed_routes`): it is good here when it is on one of those that calls go to.
    """
    for path in _PATHS_OF_CALLERS:
        try:
            return await _verdict(request, path)
        except HTTPException as error:
            if error.status_code != 403:
                raise
            refused = error
    raise refused


async def admin(request: Request) -> Any:
    """The caller, when it is an admin whose key LiteLLM lets act as one; else 401 without a good key, and 403."""
    # The role first: where LiteLLM refuses the path of admins it logs a traceback.
    if (await any_caller(request)).user_role == LitellmUserRoles.PROXY_ADMIN:
        with suppress(HTTPException, ProxyException):  # a key of an admin's, limited to other paths
            return await _verdict(request, _PATH_OF_ADMINS)
    raise HTTPException(403, "this key may not switch levers: use the master key or a key with the role proxy_admin")


async def _verdict(request: Request, path: str) -> Any:
    """What LiteLLM says to a request with these headers for ``path``. Without a body it reserves no budget for it."""
    scope = {**request.scope, "path": path, "raw_path": path.encode(), "query_string": b"", "state": {}}
    scope["method"] = "GET"
    scope["headers"] = [(name, value) for name, value in request.scope["headers"] if name != b"content-length"]
    header = request.headers.get
    return await user_api_key_auth(
        request=Request(scope, _nothing_to_read),
        api_key=header("authorization") or "",
        # None where a header is absent: to LiteLLM an empty string is a key, and it looks no further.
        azure_api_key_header=header("api-key"),
        anthropic_api_key_header=header("x-api-key"),
        google_ai_studio_api_key_header=header("x-goog-api-key"),
        azure_apim_header=header("ocp-apim-subscription-key"),
        custom_litellm_key_header=header("x-litellm-api-key"),
    )


async def _nothing_to_read() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}
