"""Tests that hold the agent to the words of the wire."""
