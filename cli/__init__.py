"""What people and machines run: the commands and their reports."""
