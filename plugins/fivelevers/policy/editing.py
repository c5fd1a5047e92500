"""A policy's text with one lever of one route set anew: comments, order and the author's own style stay.

The text is changed where the value stands, or has to stand. What comes out is read again, and must differ from what was
there in that lever alone; where that fails (anchors, a style that is not foreseen) nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml

from fivelevers.errors import PolicyError
from fivelevers.order import Mode
from fivelevers.policy.document import read_document
from fivelevers.policy.model import DEFAULT_ROUTE, Policy
from fivelevers.policy.reading import parse

Value = Mode | float
_Node = yaml.Node | None


class EditError(Exception):
    """The text can not be changed by this program: its author has to."""


def edited(text: str, file: str, route: str, lever: str, values: Mapping[str, Value]) -> str:
    """The text with ``values`` (``mode``, ``percent``) set at ``routes.<route>.levers.<lever>``.

    Routes of included files, and levers that stand in `defaults`, get their own value. Raises EditError.
    """
    before = _parsed(text, file)
    if route not in {one.name for one in before.routes}:
        raise EditError(f"routes.{route}: is no route of {file}")
    out = text
    for key, value in values.items():
        out = _set(out, read_document(out, file).node, (route, lever, key), _scalar(value))
    after = _parsed(out, file)
    if after != _expected(before, route, lever, values):
        raise EditError(f"{file}: routes.{route}.levers.{lever} can not be changed without changing more")
    return out


def _parsed(text: str, file: str) -> Policy:
    try:
        return parse(text, file)
    except PolicyError as error:
        raise EditError(f"{file}: {error}") from error


def _expected(policy: Policy, route: str, lever: str, values: Mapping[str, Value]) -> Policy:
    routes = list(policy.routes)
    at = [one.name for one in routes].index(route)
    switch = routes[at].levers.of(lever).model_copy(update=dict(values))
    levers = routes[at].levers.model_copy(update={lever: switch})
    routes[at] = routes[at].model_copy(update={"levers": levers})
    return policy.model_copy(update={"routes": tuple(routes)})


def _scalar(value: Value) -> str:
    return value.value if isinstance(value, Mode) else f"{value:g}"


def _set(text: str, root: _Node, place: tuple[str, str, str], value: str) -> str:
    """``place``: route, lever and key."""
    (route, lever, key), routes = place, _value(root, "routes")
    at = _route(routes, route)
    if at is None:
        return _with_route(text, root, routes, route, f"levers: {{{lever}: {{{key}: {value}}}}}")
    levers = _value(at, "levers")
    if not isinstance(levers, yaml.MappingNode):
        return _inserted(text, at, levers, "levers", f"{{{lever}: {{{key}: {value}}}}}")
    switch = _value(levers, lever)
    if not isinstance(switch, yaml.MappingNode):
        return _inserted(text, levers, switch, lever, f"{{{key}: {value}}}")
    return _inserted(text, switch, _value(switch, key), key, value)


def _inserted(text: str, mapping: yaml.MappingNode, old: _Node, key: str, value: str) -> str:
    """``key: value`` in a mapping, in the place of ``old`` where the key is there."""
    if old is not None:
        start, end = old.start_mark.index, old.end_mark.index
        return text[:start] + (value if end > start else f" {value}") + text[end:]
    if mapping.flow_style:
        at = mapping.start_mark.index + 1
        return f"{text[:at]}{key}: {value}{', ' if mapping.value else ''}{text[at:]}"
    (first, told), column = mapping.value[0], " " * mapping.value[0][0].start_mark.column
    line_end = text.find("\n", told.end_mark.index)
    if isinstance(told, yaml.ScalarNode) and line_end >= 0:
        return f"{text[:line_end]}\n{column}{key}: {value}{text[line_end:]}"
    # Before the first key: what is behind a mapping may be a comment about what comes next.
    start = first.start_mark.index
    return f"{text[:start]}{key}: {value}\n{column}{text[start:]}"


def _with_route(text: str, root: _Node, routes: _Node, name: str, levers: str) -> str:
    """A route `default` of its own, as the last one."""
    if name != DEFAULT_ROUTE:
        raise EditError(f"routes.{name}: stands in another file; change it there")
    if isinstance(routes, yaml.SequenceNode) and routes.value and not routes.flow_style:
        indent = " " * (routes.value[-1].start_mark.column - 2)
        end = len(text[: routes.value[-1].end_mark.index].rstrip())
        return f"{text[:end]}\n{indent}- name: {name}\n{indent}  {levers}{text[end:] or chr(10)}"
    if routes is None and (root is None or not getattr(root, "flow_style", True)):
        return f"{text.rstrip()}\nroutes:\n  - name: {name}\n    {levers}\n".lstrip("\n")
    raise EditError(f"routes: can not be changed in this style; add {{name: {name}, {levers}}}")


def _route(routes: _Node, name: str) -> yaml.MappingNode | None:
    items = routes.value if isinstance(routes, yaml.SequenceNode) else ()
    found = (item for item in items if isinstance(item, yaml.MappingNode))
    return next((item for item in found if getattr(_value(item, "name"), "value", None) == name), None)


def _value(node: _Node, key: str) -> _Node:
    found = [value for known, value in _pairs(node) if known.value == key]
    return found[-1] if found else None


def _pairs(node: _Node) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from ((key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode))
