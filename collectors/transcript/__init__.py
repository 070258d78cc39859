"""A crash(8) session that somebody pasted: its log, structs and memory dumps as facts."""
