"""The protocol's rules: the specification's own examples, and properties over generated cases."""
