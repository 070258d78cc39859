"""Reports for people and ticket systems: HTML and Markdown."""
