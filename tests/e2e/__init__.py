"""The whole on real Docker."""
