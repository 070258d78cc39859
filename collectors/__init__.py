"""From a file to an Incident: containers, memory, printk, logs, transcripts, instructions."""
