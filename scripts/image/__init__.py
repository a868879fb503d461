"""What runs in the container beside the agent."""
