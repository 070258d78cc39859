"""From an Incident and rules to Findings: pure, no I/O."""
