"""From a file to an Incident: containers, memory, printk, logs, transcripts, instructions."""

from kbmatch.collectors.collect import collect

__all__ = ["collect"]
