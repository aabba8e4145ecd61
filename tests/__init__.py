"""Tests: the client API first, the rules by property, the stores on both engines."""
