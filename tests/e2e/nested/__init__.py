"""A host with an engine of its own, which a test may stop, freeze and kill."""
