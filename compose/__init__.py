"""One server's container: its compose file, `docker compose`, and the Docker engine."""
