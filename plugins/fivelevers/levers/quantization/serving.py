"""How a checkpoint is served: vLLM's command, its Kubernetes manifest, whether a server runs what it should. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fivelevers.levers.quantization.checkpoint import BF16, Scheme

PORT: Final = 8000
MOUNTED: Final = "/models"
"""Where the pods of the manifest see the volume of checkpoints."""


@dataclass(frozen=True, slots=True)
class Service:
    """``model``: the checkpoint's folder or name; ``name``: as it is asked for; ``context``: tokens of a sequence."""

    model: str
    name: str
    gpus: int
    context: int
    concurrency: int
    image: str = "vllm/vllm-openai:v0.23.0"


def command(service: Service) -> tuple[str, ...]:
    """The checkpoint says itself how it is quantised: no `--quantization`, which would quantise while it loads, worse
    and untested by the gate. Prompt token details tell LiteLLM what was cached, and so what it cost.
    """
    return (
        *("vllm", "serve", service.model, "--served-model-name", service.name, "--port", str(PORT)),
        *("--tensor-parallel-size", str(service.gpus), "--max-model-len", str(service.context)),
        *("--max-num-seqs", str(service.concurrency), "--gpu-memory-utilization", "0.90"),
        *("--enable-prefix-caching", "--enable-prompt-tokens-details", "--scheduling-policy", "priority"),
    )


def manifest(service: Service, name: str, replicas: int = 2) -> list[dict[str, Any]]:
    """A StatefulSet and its headless Service: each replica has an address of its own, for lever 1's affinity."""
    labels = {"app.kubernetes.io/name": name}
    http = {"path": "/health", "port": PORT}
    container = {
        "name": "vllm",
        "image": service.image,
        "command": list(command(service)),
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": {"limits": {"nvidia.com/gpu": service.gpus}},
        "startupProbe": {"httpGet": http, "periodSeconds": 10, "failureThreshold": 120},
        "readinessProbe": {"httpGet": http, "periodSeconds": 5},
        "livenessProbe": {"httpGet": http, "periodSeconds": 10, "failureThreshold": 3},
        "volumeMounts": [
            {"name": "models", "mountPath": MOUNTED, "readOnly": True},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108  # where the processes of one replica meet
        ],
    }
    volumes = [
        {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}},
    ]
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": "/metrics"}
    pod = {"terminationGracePeriodSeconds": 120, "containers": [container], "volumes": volumes}
    stateful = {
        "serviceName": name,
        "replicas": replicas,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels, "annotations": scraped}, "spec": pod},
    }
    ports = [{"name": "http", "port": PORT}]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "labels": labels},
            "spec": {"clusterIP": "None", "selector": labels, "ports": ports},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": name, "labels": labels},
            "spec": stateful,
        },
    ]


def runs_as(scheme: Scheme, reported: str | None) -> str | None:
    """None where the server runs the checkpoint's scheme; else what is wrong.

    ``reported``: `vllm_config.model_config.quantization` of /server_info. It says "compressed-tensors" of INT8 too, so
    the checkpoint's own config decides which scheme that is.
    """
    if scheme == BF16:
        return None if reported is None else f"the checkpoint is not quantised, and the server runs {reported}"
    if reported is None:
        return f"the checkpoint is {scheme.name}, and the server runs it unquantised: not this checkpoint"
    if scheme.known and reported != "compressed-tensors":
        return f"the checkpoint is {scheme.name}, and the server says {reported}: quantised while it was loaded"
    return None
