"""Watching folders: each crash is diagnosed once, whatever happens to the watcher."""
