"""Hand-written stand-ins that behave."""
