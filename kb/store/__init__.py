"""Finds, reads and opens the knowledge base."""

from kbmatch.kb.store.knowledge import load_rules

__all__ = ["load_rules"]
