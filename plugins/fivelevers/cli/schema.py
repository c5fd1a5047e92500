"""`fivelevers schema`: the JSON Schema of the policy file, for editors and other checkers."""

import json

import typer


def schema() -> None:
    """Print the JSON Schema of the policy file."""
    from fivelevers.policy.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
