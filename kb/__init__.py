"""The knowledge, as YAML, and the tools that keep it."""
