"""Whose time a sample has: the devices' clocks, the host's, and the grid of a stream."""
