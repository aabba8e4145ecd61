"""Media: what people upload and fetch."""
