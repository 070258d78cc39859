"""Redaction: what names people, machines and places is replaced by stable pseudonyms; the crash stays."""
