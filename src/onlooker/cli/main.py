"""``onlooker``: finds the commands in ``onlooker.cli.commands`` and turns errors into one clear line."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from onlooker import __version__
from onlooker.cli import commands as command_modules
from onlooker.core.errors import OnlookerError

__all__ = ["app", "main"]

_FIRST = ("analyze", "search", "show", "report", "export", "clip", "highlights", "probe")


class _Stopped(Exception):
    """Ctrl-C, which typer would turn into an exit that says nothing."""


class _Commands(TyperGroup):
    """Commands by the modules of a folder, imported when they are used."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _Stopped from None

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, the main ones first."""
        found = [m.name.replace("_", "-") for m in pkgutil.iter_modules(command_modules.__path__)]
        return [n for n in _FIRST if n in found] + sorted(n for n in found if n not in _FIRST)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{command_modules.__name__}.{cmd_name.replace('-', '_')}")
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(add_completion=False)
            app.command(name=cmd_name)(module.command)
        made = typer.main.get_command(app)
        made.name = cmd_name
        return made


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: onlooker analyze talk.mp4 --library lib && onlooker search --kind shot --library lib",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"onlooker {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the trace of an error (also: ONLOOKER_DEBUG=1).")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn videos into a timeline that can be searched: what is shown, who moves, what is heard, and when."""
    if debug:
        os.environ["ONLOOKER_DEBUG"] = "1"


# numpy's products are small here: threads of its own would only take the decoder's processors
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code: 0 good, 1 bad use or an error, 130 stopped by Ctrl-C."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result = typer.main.get_command(app).main(args=arguments, standalone_mode=False)
        sys.stdout.flush()
    except OnlookerError as error:
        return _say(str(error), 1)
    except BrokenPipeError:
        # the reader of a pipe went away: nothing more to say, and nothing to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (_Stopped, KeyboardInterrupt, typer.Abort):
        return _say("stopped", 130)
    except Exception as error:
        # usage errors and exits are told by what they can do: where their classes live differs between typer's versions
        if hasattr(error, "exit_code") and hasattr(error, "show"):
            error.show()  # pyright: ignore[reportAttributeAccessIssue]
            return 1
        if hasattr(error, "exit_code"):
            return int(error.exit_code)  # pyright: ignore[reportAttributeAccessIssue]
        return _say(f"unexpected {type(error).__name__}: {error} (run again with --debug and report the trace)", 1)
    return result if isinstance(result, int) else 0


def _say(message: str, code: int) -> int:
    if os.environ.get("ONLOOKER_DEBUG") and code == 1:
        traceback.print_exc()
    print(f"onlooker: {message}", file=sys.stderr)
    return code
