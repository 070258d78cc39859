"""The escalation pack: everything a support case needs, with names redacted."""
