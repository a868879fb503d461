"""The room of the tunnels."""
