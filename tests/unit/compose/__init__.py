"""Tests of compose/ that need no Docker."""
