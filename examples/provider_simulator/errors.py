"""Errors as each provider words them.

OpenAI:    https://developers.openai.com/api/docs/guides/error-codes
Anthropic: https://platform.claude.com/docs/en/api/errors
"""

from typing import Any, Literal

Provider = Literal["openai", "anthropic"]

_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    429: "requests",
}
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class ApiError(Exception):
    """A request that the provider answers with an error status. `param` and `code` reach OpenAI callers alone."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None, retry_after_s: int = 0
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s

    def body(self, provider: Provider, request_id: str) -> dict[str, Any]:
        if provider == "anthropic":
            kind = _ANTHROPIC_TYPES.get(self.status, "api_error")
            return {"type": "error", "error": {"type": kind, "message": self.message}, "request_id": request_id}
        kind = _OPENAI_TYPES.get(self.status, "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def invalid(param: str, message: str) -> ApiError:
    """400: the field `param` has a value that can not be used."""
    return ApiError(400, f"{param}: {message}", param=param, code="invalid_value")


def missing(param: str) -> ApiError:
    """400: the required field `param` is absent."""
    return ApiError(400, f"{param}: Field required", param=param, code="missing_required_parameter")


def server_error() -> ApiError:
    return ApiError(500, "The server had an error while processing your request", code="server_error")
