"""What was diagnosed here before: kept in SQLite, counted by fingerprint, diagnosed anew when knowledge grows."""
