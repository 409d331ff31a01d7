"""What an agent says to a device before and while it sends. Shells: each speaks over a link."""
