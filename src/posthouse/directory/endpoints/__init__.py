"""The endpoints of the directory, one module each."""
