"""The version of kbmatch, for reports: reading it from the installed metadata costs more than a diagnosis may."""

VERSION = "0.1.0"
"""The same as in pyproject.toml; a test compares them."""
