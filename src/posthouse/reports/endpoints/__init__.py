"""The endpoints of reports, one module each."""
