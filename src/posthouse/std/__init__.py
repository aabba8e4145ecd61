"""What every domain may use: the clock, faults, bounded collections. Knows nothing of Matrix."""
