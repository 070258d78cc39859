"""Finds, reads and opens the knowledge base."""
