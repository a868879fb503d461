"""The will: what should be, and the loop that makes it so."""
