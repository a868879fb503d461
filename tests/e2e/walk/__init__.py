"""An agent that dies where a test says, on real Docker with a real edge."""
