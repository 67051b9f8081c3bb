"""`python -m gansmith`: the same as the `gansmith` command, for `torchrun -m gansmith train ...`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
