"""Unit tests of the protocols of the game, from the asking side."""
