"""Commands, manifests, and what a server says of itself."""

from __future__ import annotations

import pytest

from fivelevers.levers.quantization.checkpoint import BF16, FP8_DYNAMIC, Scheme
from fivelevers.levers.quantization.serving import Service, command, manifest, runs_as

SERVICE = Service("/models/llama-8b-fp8", "llama-8b", gpus=2, context=8192, concurrency=64)


def test_the_command_caches_prefixes_tells_of_them_and_never_quantises() -> None:
    words = command(SERVICE)
    assert words[:3] == ("vllm", "serve", "/models/llama-8b-fp8")
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details"} <= set(words)
    assert words[words.index("--tensor-parallel-size") + 1] == "2"
    assert words[words.index("--scheduling-policy") + 1] == "priority"
    assert not any(word.startswith(("--quantization", "--kv-cache-dtype")) for word in words)


def test_the_manifest_gives_each_replica_an_address_and_waits_for_health() -> None:
    service, workload = manifest(SERVICE, "llama-8b-fp8", replicas=2)
    assert service["spec"]["clusterIP"] == "None"
    assert workload["spec"]["serviceName"] == service["metadata"]["name"]
    template = workload["spec"]["template"]
    assert template["metadata"]["labels"].items() >= service["spec"]["selector"].items()
    container = template["spec"]["containers"][0]
    assert container["command"] == list(command(SERVICE))
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 2}
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    assert {container[probe]["httpGet"]["path"] for probe in probes} == {"/health"}


@pytest.mark.parametrize(
    ("scheme", "reported", "wrong"),
    [
        (BF16, None, None),
        (FP8_DYNAMIC, "compressed-tensors", None),
        (BF16, "fp8", "not quantised"),
        (FP8_DYNAMIC, None, "unquantised"),
        (FP8_DYNAMIC, "fp8", "while it was loaded"),
        (Scheme("awq"), "awq_marlin", None),
        (Scheme("awq"), None, "unquantised"),
    ],
)
def test_a_server_that_runs_something_else_is_found_out(
    scheme: Scheme, reported: str | None, wrong: str | None
) -> None:
    found = runs_as(scheme, reported)
    assert found is None if wrong is None else found is not None and wrong in found
