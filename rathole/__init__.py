"""One tunnel a server: its configuration, its client process, its supervisor, and the manager on the VPS."""
