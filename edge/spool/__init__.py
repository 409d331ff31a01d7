"""What waits for the broker, on disk."""
