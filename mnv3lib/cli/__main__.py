"""``python -m mnv3lib.cli``: the command for launchers that start modules, as accelerate's does."""

from mnv3lib.cli import main

__all__ = []

main()
