"""A node's state survives the store, in few bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.prompt_cache.node import STATE_BYTES, Entry, Node, Role, unpacked

TIMES = st.floats(1e9, 4e9)


@given(TIMES, st.sampled_from(Role), st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 65535), st.data())
def test_round_trip(last_seen: float, role: Role, turn: int, visits: int, class_id: int, data: st.DataObject) -> None:
    entries = st.none() | st.builds(
        lambda ttl_s, left_s: Entry(ttl_s, last_seen + left_s), st.integers(1, 86_400), st.floats(-7200, 86_400)
    )
    node = Node(last_seen, role, turn, visits, class_id, data.draw(entries), data.draw(entries))
    state = node.pack()
    back = Node.unpack(state)
    assert len(state) == STATE_BYTES <= 32
    assert (back.last_seen, back.role, back.turn, back.visits, back.class_id) == (
        last_seen,
        role,
        turn,
        visits,
        class_id,
    )
    for before, after in ((node.entry, back.entry), (node.client_entry, back.client_entry)):
        assert (before is None) == (after is None)
        if before and after:
            assert after.ttl_s == before.ttl_s
            assert after.ends_at == pytest.approx(before.ends_at, abs=0.01)


def test_counts_beyond_the_field_stop_at_its_end() -> None:
    assert Node.unpack(Node(1e9, Role.HEAD, visits=1 << 20).pack()).visits == 65535


@pytest.mark.parametrize("state", [b"", b"x" * (STATE_BYTES - 1), b"\xff" * STATE_BYTES])
def test_what_is_no_state_is_told(state: bytes) -> None:
    with pytest.raises(ValueError, match="not a node's state"):
        Node.unpack(state)


def test_states_are_read_by_name_and_odd_ones_left_out() -> None:
    one, two = Node(10.0, Role.INNER), Node(20.0, Role.TIP, 3, 4, 5, Entry(300, 320.0))
    states = [(b"a", one.pack()), (b"b", two.pack()), (b"c", one.pack()), (b"d", b"odd"), (b"e", b"\xff" * STATE_BYTES)]
    assert unpacked(states) == {b"a": one, b"b": two, b"c": one}
