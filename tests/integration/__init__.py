"""Tests with real processes and real sockets, without containers."""
