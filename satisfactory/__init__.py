"""The game's own protocols, from the asking side: lightweight query, HTTPS API, and a probe of both."""
