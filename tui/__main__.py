"""The front door: `ift-tui` opens the app, `ift-tui COMMAND` does the same work without a screen.

Exit codes: 0 done, 1 the work failed, 2 asked for wrongly, 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import gc
import importlib
import io
import os
import pkgutil
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from engine.errors import RunFailed, UserError
from tui import commands, terminal, unexpected
from tui.safe import clean

PROGRAM = "ift-tui"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, or the app where none is named. The exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an ASCII terminal is no reason to fail
    if not arguments:
        return _guarded(_open_app, with_traceback=False)
    known = names()
    chosen = [arguments[0]] if arguments[0] in known else known
    parsed = parser(chosen).parse_args(arguments)
    return _guarded(lambda: int(parsed.run(parsed)), parsed.traceback)


class Parser(argparse.ArgumentParser):
    """What was typed may have been pasted from anywhere: it is cleaned where it is complained about."""

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(clean(message), file)


def names() -> list[str]:
    """The commands: the files of tui/commands that do not begin with an underscore."""
    found = (module.name for module in pkgutil.iter_modules(commands.__path__))
    return [name for name in found if not name.startswith("_")]


def parser(chosen: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for these commands; only their files are imported."""
    top = Parser(
        prog=PROGRAM,
        description="Instruction fine-tuning in the terminal. Without a command: the app.",
    )
    top.add_argument("--version", action="version", version=f"{PROGRAM} {_version()}")
    below = top.add_subparsers(metavar="COMMAND", required=True)
    for name in chosen:
        command: ModuleType = importlib.import_module(f"tui.commands.{name}")
        one = below.add_parser(name, help=command.summary, description=_sentence(command.summary))
        command.arguments(one)
        one.add_argument("--traceback", action="store_true", help="show where an unexpected error arose")
        one.set_defaults(run=command.run)
    return top


def _guarded(work: Callable[[], int], with_traceback: bool) -> int:
    """Every way that work can end badly, as one sentence and an exit code."""
    try:
        return work()
    except UserError as error:
        _complain(str(error))
        return 2
    except RunFailed as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EIO) and _unread():
            return 0
        if with_traceback:
            print(unexpected.where(error), end="", file=sys.stderr)
        else:
            print(f"{PROGRAM}: {unexpected.sentence(error)}", file=sys.stderr)
        return 1


def _open_app() -> int:
    if not terminal.is_there():
        parser([*names()]).print_help()
        raise UserError("the app needs a terminal for its screen and its keys; the commands above need none")
    gc.disable()  # thousands of objects are made here, to stay: to look for garbage among them takes long
    from tui.app import IftTui

    app = IftTui()
    gc.freeze()
    gc.enable()
    app.run()
    return app.return_code or 0


def _unread() -> bool:
    """Whether nobody reads any more (`ift-tui models | head`, a closed terminal): then nothing is said."""
    if not terminal.gone(sys.stdout):
        return False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # Python would complain when it flushes at exit
    if terminal.gone(sys.stderr):
        os.dup2(nowhere, sys.stderr.fileno())
    return True


def _complain(sentence: str) -> None:
    print(f"{PROGRAM}: {clean(sentence, newlines=False)}", file=sys.stderr)


def _sentence(summary: str) -> str:
    return summary[:1].upper() + summary[1:] + "."


def _version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(PROGRAM)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
