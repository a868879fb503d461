"""The agent's word to the orchestrator: that this node is there, how busy it is, and that it goes."""
