"""The HTTP face: the only room of the agent that knows Flask."""
