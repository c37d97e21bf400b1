"""``onlooker dataset``: labelled samples: import, check, split, look at, prepare, export."""

from __future__ import annotations

import typer

from onlooker.cli.commands.dataset import filling, using

__all__ = ["app"]

app = typer.Typer(help="Labelled samples: import, check, split, look at, prepare, export.", no_args_is_help=True)

_COMMANDS = {
    "create": filling.create,
    "import": filling.import_,
    "check": using.check,
    "split": using.split,
    "stats": using.stats,
    "show": using.show,
    "export": using.export,
    "from-library": filling.from_library,
    "prepare": using.prepare,
    "formats": using.formats,
    "schema": using.schema,
}
"""In the order of the help."""

for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
