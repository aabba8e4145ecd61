"""Endpoints of rooms, one module each, named after the specification's operations."""
