-- Ways to reach people. The secret is the password that the server asks for, empty where it asks for none; authorities are PEM of those
-- who may have signed its certificate, null where the system's are believed.
CREATE TABLE channel (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    server TEXT NOT NULL,
    security TEXT NOT NULL,
    authorities TEXT,
    user_name TEXT,
    secret BLOB NOT NULL,
    sender TEXT NOT NULL,
    sender_name TEXT,
    timeout INTEGER NOT NULL,
    per_minute INTEGER NOT NULL,
    is_enabled INTEGER NOT NULL
);

-- What is to be sent, and for a while what was. The content is sealed, and null once it is over. Whoever sends has it until "leased".
CREATE TABLE outbox (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    channel INTEGER NOT NULL REFERENCES channel (id) ON DELETE CASCADE,
    "user" INTEGER REFERENCES "user" (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL,
    recipient TEXT NOT NULL,
    message_id TEXT NOT NULL UNIQUE,
    content BLOB,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),
    created INTEGER NOT NULL,
    due INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    attempted INTEGER,
    leased INTEGER NOT NULL DEFAULT 0,
    ended INTEGER,
    problem TEXT
);
CREATE INDEX outbox_by_due ON outbox (state, due);
CREATE INDEX outbox_by_attempt ON outbox (channel, attempted);
CREATE INDEX outbox_by_user ON outbox ("user");

-- One-time links to set a first password: of each user the newest alone. The token is its SHA-256.
CREATE TABLE invitation (
    "user" INTEGER NOT NULL PRIMARY KEY REFERENCES "user" (id) ON DELETE CASCADE,
    token BLOB NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    opened INTEGER,
    used INTEGER,
    mail INTEGER REFERENCES outbox (id) ON DELETE SET NULL
);
