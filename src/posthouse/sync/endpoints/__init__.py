"""Endpoints of sync."""
