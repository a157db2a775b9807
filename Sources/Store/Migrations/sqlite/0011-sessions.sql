-- What gateways report of the sessions that they carry. No reference holds a row: whoever it names may be gone before it is.
CREATE TABLE session (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    client INTEGER NOT NULL,
    gateway TEXT NOT NULL,
    session_id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT,
    "user" INTEGER,
    login BLOB,
    station TEXT,
    addresses TEXT NOT NULL,
    port INTEGER,
    group_class TEXT,
    source BLOB NOT NULL,
    started INTEGER NOT NULL,
    has_start INTEGER NOT NULL,
    heard INTEGER NOT NULL,
    ended INTEGER,
    ending TEXT,
    cause INTEGER,
    seconds INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    input_packets INTEGER NOT NULL,
    output_packets INTEGER NOT NULL
);
CREATE INDEX session_by_session_id ON session (session_id, gateway, client);
CREATE INDEX session_by_end ON session (ended);
CREATE INDEX session_by_user ON session ("user", started);

-- The UDP port on which the gateway takes Disconnect-Requests; 0: none.
ALTER TABLE client ADD COLUMN disconnect_port INTEGER NOT NULL DEFAULT 3799;
