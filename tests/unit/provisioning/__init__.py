"""Tests of the will."""
