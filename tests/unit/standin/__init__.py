"""Unit tests of the stand-in game."""
