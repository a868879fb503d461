"""Tests of one room at a time, without Docker and in seconds."""
