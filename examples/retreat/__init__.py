"""Levers that were certified, and a world that changed: what `fivelevers demo --retreat` sends through the proxy."""
