"""Alembic runs this file: the steps, in the transaction of whoever asked for them."""

from alembic import context

from fivelevers.stores.migrations import REVISION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=REVISION_TABLE)
context.run_migrations()
