"""The command line. One file per command; none imports LiteLLM, and what is slow to import loads inside the command.

Exit codes: 0 fine, 1 the answer is no, 2 could not run.
"""

import typer

from fivelevers.cli.audit import audit
from fivelevers.cli.batch import app as batch
from fivelevers.cli.cache import app as cache
from fivelevers.cli.calibrate import app as calibrate
from fivelevers.cli.check import check
from fivelevers.cli.demo import demo
from fivelevers.cli.down import down
from fivelevers.cli.explain import app as explain
from fivelevers.cli.ext_proc import ext_proc
from fivelevers.cli.forget import forget
from fivelevers.cli.fp8 import app as fp8
from fivelevers.cli.judge import app as judge
from fivelevers.cli.lane import lane
from fivelevers.cli.off import off
from fivelevers.cli.plan import plan
from fivelevers.cli.reconcile import reconcile
from fivelevers.cli.report import report
from fivelevers.cli.resume import resume
from fivelevers.cli.route import app as route
from fivelevers.cli.schema import schema
from fivelevers.cli.up import up

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def _about() -> None:
    """Pay less for the same answers, and prove it: five cost levers for the LiteLLM proxy and Envoy."""


app.command()(demo)
app.command()(audit)
app.command()(plan)
app.add_typer(explain, name="explain")
app.add_typer(calibrate, name="calibrate")
app.add_typer(judge, name="judge")
app.add_typer(route, name="route")
app.add_typer(fp8, name="fp8")
app.add_typer(cache, name="cache")
app.add_typer(batch, name="batch")
app.command()(lane)
app.command()(up)
app.command()(down)
app.command("ext-proc")(ext_proc)
app.command()(check)
app.command()(schema)
app.command()(report)
app.command()(reconcile)
app.command()(forget)
app.command()(off)
app.command()(resume)
