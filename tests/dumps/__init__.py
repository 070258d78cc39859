"""Builders of synthetic vmcores."""
