"""Random faults against a deployment with traffic: `python -m tests.chaos COUNT [SEED]`."""
