"""Unmodified client libraries against a real server process."""
