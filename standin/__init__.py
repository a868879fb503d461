"""A stand-in for the game: speaks the real protocols and keeps the real image's bad manners, plays nothing."""
