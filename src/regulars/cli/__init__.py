"""The command line: what each command is, and what a shell gets to know of an error."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from regulars import __version__
from regulars.cli import imports, live, measure, rehearse
from regulars.errors import RegularsError

#: Every command, in the order in which --help lists them.
COMMANDS: dict[str, Callable[..., None]] = {
    "simulate": rehearse.simulate, "fit": rehearse.fit, "diary": rehearse.diary, "policies": rehearse.policies,
    "report": rehearse.report, "fidelity": measure.fidelity, "targeting": measure.targeting,
    "import": imports.import_, "serve": live.serve, "keys": live.keys, "decide": live.decide,
    "replay": live.replay, "verify": live.verify,
}  # fmt: skip
app = typer.Typer(
    name="regulars",
    help="Rehearse how customers are welcomed on simulated individuals before a real customer meets it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for name, command in COMMANDS.items():
    app.command(name)(command)

#: Exit code after Ctrl-C.
STOPPED = 130


def main() -> None:
    """Run the command line; errors are one sentence on standard error, exit code 2."""
    warnings.formatwarning = lambda message, *_, **__: f"{message}\n"
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
        if code == STOPPED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except RegularsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        # What is still waiting for standard output cannot be written either.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        where = error.filename or "standard output"
        print(f"cannot use {where}: {error.strerror or error}. Name another place", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort) as stop:
        print(stop.args[0] if stop.args else "Stopped.", file=sys.stderr)
        sys.exit(STOPPED)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # typer's and click's own usage errors
            error.show()
            sys.exit(error.exit_code)
        raise


def _version(asked: bool) -> None:
    if asked:
        print(f"regulars {__version__}")
        raise typer.Exit


@app.callback()
def _regulars(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Rehearse how customers are welcomed on simulated individuals before a real customer meets it."""
