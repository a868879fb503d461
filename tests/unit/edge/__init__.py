"""Unit tests of the edge."""
