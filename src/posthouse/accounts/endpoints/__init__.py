"""The endpoints of accounts, one a module."""
