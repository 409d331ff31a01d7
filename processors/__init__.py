"""From Frames to vital signs, and from both to stores and screens."""
