"""The endpoints of push, one module each."""
