"""`python -m fivelevers` is the command line."""

from fivelevers.cli import app

app(prog_name="fivelevers")
