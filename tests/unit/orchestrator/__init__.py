"""Unit tests of the orchestrator's room."""
