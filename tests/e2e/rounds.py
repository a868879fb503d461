"""How often a test kills: once, and in the long run often enough to meet what happens rarely."""

import os

ROUNDS = 20 if os.environ.get("SATIS_LONG") else 1
