"""Endpoints that belong to the server as a whole."""
