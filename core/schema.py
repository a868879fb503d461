"""The store's tables, as numbered migrations: the n-th brings the store from version n to n + 1."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE servers (
        server_id TEXT PRIMARY KEY COLLATE NOCASE,
        spec TEXT NOT NULL,
        container_wanted INTEGER NOT NULL DEFAULT 1,
        tunnel_wanted INTEGER NOT NULL DEFAULT 1,
        deleting INTEGER NOT NULL DEFAULT 0,
        stopped_externally INTEGER NOT NULL DEFAULT 0,
        crashed INTEGER NOT NULL DEFAULT 0,
        public_game_port INTEGER,
        public_beacon_port INTEGER,
        public_host TEXT,
        client_config TEXT,
        restart_from TEXT,
        bounced_for TEXT,
        failure_code TEXT,
        failure_message TEXT,
        deaths TEXT,
        last_crash TEXT,
        created_at TEXT NOT NULL
    ) STRICT;

    -- Two servers of one host may never ask for the same port; the game's own serves UDP and TCP.
    CREATE TABLE ports (
        port INTEGER NOT NULL,
        protocol TEXT NOT NULL CHECK (protocol IN ('tcp', 'udp')),
        server_id TEXT NOT NULL COLLATE NOCASE REFERENCES servers ON DELETE CASCADE,
        PRIMARY KEY (port, protocol)
    ) STRICT;

    -- No foreign key: an operation outlives its server.
    CREATE TABLE operations (
        operation_id TEXT PRIMARY KEY,
        server_id TEXT NOT NULL COLLATE NOCASE,
        kind TEXT NOT NULL,
        status TEXT NOT NULL,
        force INTEGER NOT NULL DEFAULT 0,
        step TEXT,
        save TEXT,
        started_at TEXT NOT NULL,
        ended_at TEXT,
        error_code TEXT,
        error_message TEXT
    ) STRICT;
    CREATE INDEX operations_by_server ON operations (server_id, status);

    -- What we started and must find again after our own death.
    CREATE TABLE processes (
        kind TEXT NOT NULL,
        server_id TEXT NOT NULL COLLATE NOCASE,
        boot_id TEXT NOT NULL,
        pid INTEGER NOT NULL,
        start_ticks INTEGER NOT NULL,
        executable TEXT NOT NULL,
        argv TEXT NOT NULL,
        started_at TEXT NOT NULL,
        PRIMARY KEY (kind, server_id)
    ) STRICT;

    -- Instances of deleted servers that the manager still has; taking them off blocks nothing.
    CREATE TABLE orphan_instances (
        server_id TEXT PRIMARY KEY COLLATE NOCASE,
        since TEXT NOT NULL
    ) STRICT;
    """,
)
