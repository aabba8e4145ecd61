"""The client API as clients meet it: over HTTP, answer by answer."""
