"""The plugin as `callbacks` of a config names it, but that it waits less: for word of how an attempt ended, and before
it takes what was recorded into the ledger, which nearly every test here looks into."""

from fivelevers import meter
from fivelevers.proxies.litellm.callback import plugin
from fivelevers.proxies.litellm.flight import Flight
from fivelevers.stores import spool

__all__ = ["plugin"]

Flight.PATIENCE_S = 3.0
meter.DRAIN_EVERY_S = 0.1
spool.ROTATE_AFTER_S = 0.1
plugin.state.affinity.limit_s = 5.0  # more patience here: a busy machine is no dead Redis
