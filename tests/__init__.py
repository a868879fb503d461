"""What the agent must do, shown."""
