"""The command line: a table of commands, each of which parses dataclasses, calls one function, and prints.

Nothing here imports PyTorch before a command needs it, so that help and mistakes answer at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence

from .._version import __version__
from ..extras import MissingExtra
from .checking import check
from .judging import bench, compare, evaluate
from .looking import data, info, recipes, report
from .making import apply, sample
from .parsing import Usage, choose, table_of
from .training import train


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 failed, 2 not understood, 130 interrupted.

    Mistakes of the user are one line on stderr; GANSMITH_TRACEBACK=1 shows where they were found.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = ""
    try:
        if not words or words[0] in ("-h", "--help", "help"):
            print(_overview())
            return 0
        if words[0] == "--version":
            print(f"gansmith {__version__}")
            return 0
        command = words[0]
        return choose(COMMANDS, command, "command")(words[1:])
    except Usage as error:
        _complain(error)
        print(f"try: gansmith {f'{command} ' if command in COMMANDS else ''}--help", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `gansmith recipes | head`: nobody is left to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, MissingExtra) as error:
        _complain(error)
        return 1
    except MemoryError as error:
        _complain(error)
        return 1
    except RuntimeError as error:
        if not _expected(error):
            raise
        _complain(error)
        return 1
    except KeyboardInterrupt:
        print("gansmith: interrupted", file=sys.stderr)
        return 130


def _complain(error: Exception) -> None:
    if os.environ.get("GANSMITH_TRACEBACK", "0") not in ("", "0"):
        traceback.print_exc()
    text = str(error) or type(error).__name__
    if type(error).__name__ == "OutOfMemoryError":
        text = f"{text.splitlines()[0]} {_LESS}"
    elif isinstance(error, MemoryError) or _unallocated(error):
        text = f"there is not enough memory for this. {_LESS}; of data, a smaller --size or fewer files"
    print(f"gansmith: error: {text}", file=sys.stderr)


def _expected(error: RuntimeError) -> bool:
    """Whether it is news for the user rather than a fault of ours."""
    log = sys.modules.get("gansmith.engine.log")  # not imported: then nothing diverged
    diverged = log is not None and isinstance(error, log.Diverged)
    return diverged or type(error).__name__ == "OutOfMemoryError" or _unallocated(error)


def _unallocated(error: BaseException) -> bool:
    """Whether PyTorch's allocator of the CPU found no memory: it knows no exception of its own for that."""
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


_LESS = (
    "Pass a smaller --batch-size, or --micro-batches 2 to keep it and use less memory; narrower networks (--width) "
    "take less too"
)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "sample": sample,
    "apply": apply,
    "data": data,
    "recipes": recipes,
    "info": info,
    "evaluate": evaluate,
    "compare": compare,
    "bench": bench,
    "check": check,
    "report": report,
}


def _overview() -> str:
    return f"""usage: gansmith COMMAND ...

Train, judge, repair, compare and serve generative adversarial networks.

{table_of(COMMANDS)}

  gansmith train r3gan --data photos/ --size 64     train on a folder of pictures
  gansmith sample runs/r3gan-photos -n 100          draw from it
  gansmith COMMAND --help                           every option of a command
  gansmith --version"""
