"""Version comparison, one module a scheme."""
