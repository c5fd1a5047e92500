"""Free ports that stay ours from the moment they are chosen, also while their server is still booting."""

import socket

from fivelevers.errors import StackError

HOST = "127.0.0.1"


class Port:
    """A reserved TCP port on the loopback address.

    The socket is bound with SO_REUSEADDR and never listens: Linux then gives the number to nobody who asks for any
    free port, yet lets a server that sets SO_REUSEADDR too (Redis, uvicorn and Envoy do) bind and listen on it, and
    do so again after a restart.
    """

    def __init__(self, wanted: int = 0) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((HOST, wanted))
        except OSError as error:
            self._socket.close()
            raise StackError(f"port {wanted}: {error.strerror}; choose another, or 0 for any free one") from error
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        self._socket.close()
