"""What deployment and the container need beside the agent itself."""
