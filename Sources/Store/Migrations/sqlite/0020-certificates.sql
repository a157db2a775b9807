-- The authority that certificates are issued by: the row with the highest number. Those before it are still believed, until they are removed.
-- The secret is its private key.
CREATE TABLE authority (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    domains TEXT NOT NULL,
    certificate TEXT NOT NULL,
    secret BLOB NOT NULL,
    begins INTEGER NOT NULL,
    ends INTEGER NOT NULL
);

-- Every certificate that was issued; whose it is stands in "device", so that a person can be erased and the number stays revoked.
CREATE TABLE certificate (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    authority INTEGER NOT NULL REFERENCES authority (id) ON DELETE CASCADE,
    serial BLOB NOT NULL,
    fingerprint BLOB NOT NULL UNIQUE,
    usage TEXT NOT NULL CHECK (usage IN ('server', 'client')),
    subject TEXT,
    begins INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    issued_by TEXT NOT NULL,
    revoked INTEGER,
    reason TEXT,
    UNIQUE (authority, serial)
);
CREATE INDEX certificate_by_end ON certificate (ends);

CREATE TABLE device (
    certificate INTEGER NOT NULL PRIMARY KEY REFERENCES certificate (id) ON DELETE CASCADE,
    "user" INTEGER NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
    label TEXT NOT NULL
);
CREATE INDEX device_by_user ON device ("user");
