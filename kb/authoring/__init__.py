"""Tools of the engineer who writes rules."""
