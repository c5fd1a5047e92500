"""Whether a process of the stack answers: False for every way of not answering, so that a caller can ask again."""

import http.client
import socket
from urllib.parse import urlsplit

_LIMIT_S = 2.0


def http_ok(url: str) -> bool:
    """A GET that is answered with 200. http.client and not urllib: proxies of the environment must not see it."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_LIMIT_S)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def redis_ok(host: str, port: int) -> bool:
    """A PING that is answered with PONG, in Redis' inline protocol."""
    try:
        with socket.create_connection((host, port), _LIMIT_S) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def port_taken(host: str, port: int) -> bool:
    """A connection that is accepted."""
    try:
        with socket.create_connection((host, port), _LIMIT_S):
            return True
    except OSError:
        return False
