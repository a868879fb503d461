"""Unit tests of the ground."""
