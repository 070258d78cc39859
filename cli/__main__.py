"""`python -m kbmatch.cli` is the same as the command `kbmatch`."""

from kbmatch.cli.main import entry_point

entry_point()
