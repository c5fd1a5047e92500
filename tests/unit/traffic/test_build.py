from collections import Counter

from examples.traffic.build import SEED, files
from examples.traffic.references import HERE, expand
from examples.traffic.workload import load_all


def test_the_files_in_the_tree_are_what_the_builder_writes() -> None:
    built = dict(files())
    assert {path: (HERE / path).read_text(encoding="utf-8") for path in built} == built


def test_nothing_else_lies_beside_them() -> None:
    found = {f"{path.parent.name}/{path.name}" for path in HERE.glob("*/*.jsonl")}
    assert found == {path for path, _ in files()}


def test_another_seed_gives_other_traffic() -> None:
    assert dict(files(SEED + 1))["workloads/support.jsonl"] != dict(files())["workloads/support.jsonl"]


def test_there_is_enough_traffic_of_every_kind() -> None:
    requests = load_all()
    assert 600 <= len(requests) <= 1500
    assert {request.api for request in requests} == {"chat", "messages", "responses", "embeddings"}
    assert len({request.tenant for request in requests if request.workload == "support"}) >= 2
    streamed = Counter(bool(request.body.get("stream")) for request in requests if request.workload == "support")
    assert 0.4 < streamed[True] / streamed.total() < 0.6
    assert not any(request.body.get("stream") for request in requests if request.workload == "tickets")


def test_agents_repeat_their_history_and_some_mark_it() -> None:
    sessions: dict[str, list[int]] = {}
    for request in load_all(only="coding-agent"):
        sessions.setdefault(request.session, []).append(len(request.body["messages"]))
    assert all(10 <= len(lengths) <= 25 and lengths == sorted(set(lengths)) for lengths in sessions.values())
    assert 8 <= len(sessions) <= 12
    marked = {request.session for request in load_all(only="coding-agent") if "cache_control" in str(request.body)}
    assert 0 < len(marked) < len(sessions)


def test_the_support_prompt_is_as_long_as_a_real_one() -> None:
    assert 7_500 < len(expand({"$text": "support/system"})) < 9_500
    assert 17_000 < len(expand({"$text": "support/context"})) < 22_000


def test_the_readme_counts_what_there_is() -> None:
    requests = load_all()
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    assert f"{len(requests)} requests of two hours" in readme
    for workload, count in Counter(request.workload for request in requests).items():
        assert f"| `{workload}` | {count} |" in readme


def test_some_people_ask_the_very_same_again() -> None:
    asked = Counter((request.session, str(request.body)) for request in load_all(only="support"))
    assert sum(count == 2 for count in asked.values()) == 10
