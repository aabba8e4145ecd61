"""The media routes, one module per operation of the specification."""
