"""`fivelevers fp8`: lever 5, from the hardware to a deployment that has earned its place."""

from __future__ import annotations

import typer

from fivelevers.cli.fp8_check import check
from fivelevers.cli.fp8_gate import gate
from fivelevers.cli.fp8_recipe import manifest, recipe
from fivelevers.cli.fp8_register import register, rollback
from fivelevers.cli.fp8_serve import serve

_HELP = "Quantise a model of your own, and prove that it is as good (lever 5)."
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=_HELP)


@app.callback()
def _about() -> None:
    """Quantise a model of your own, and prove on a route's own items that it is as good and cheaper.

    In this order: check (can this hardware, does it fit, does it pay), recipe (make the checkpoint), serve (vLLM's
    command), gate (both verdicts), register (a deployment of LiteLLM with prices), then `quantization` in the policy;
    rollback.
    """


app.command("check")(check)
app.command("recipe")(recipe)
app.command("manifest")(manifest)
app.command("serve")(serve)
app.command("gate")(gate)
app.command("register")(register)
app.command("rollback")(rollback)
