"""The ground that every room stands on; imports nothing of the rooms above."""
