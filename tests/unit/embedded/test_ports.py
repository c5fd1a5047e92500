import socket

import pytest

from fivelevers.embedded.ports import Port
from fivelevers.errors import StackError


def test_a_reserved_port_is_listened_on_by_its_server_alone() -> None:
    port = Port()
    with (
        socket.create_server(("127.0.0.1", port.number)),
        pytest.raises(StackError, match=f"port {port.number}: .*in use"),
    ):
        Port(port.number)
    with socket.create_server(("127.0.0.1", port.number)):
        pass  # and again, as after a restart
    port.release()
