"""fivelevers: five cost levers for the LiteLLM proxy and Envoy, each proven in dollars."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("fivelevers")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0.0.0"
