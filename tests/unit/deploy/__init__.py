"""Deployment: the shell scripts, the run loop and what runs beside the agent in its container."""
