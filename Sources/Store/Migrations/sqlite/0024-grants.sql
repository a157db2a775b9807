-- When the last grant of a user ends that is or was lately open; null: nobody looks for any.
ALTER TABLE "user" ADD COLUMN granted_until INTEGER;

-- What the help desk gives a user for a while: a bypass of the second factor, or a temporary code, of which a keyed hash is kept.
CREATE TABLE access_grant (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "user" INTEGER NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    scope BLOB NOT NULL,
    reason TEXT NOT NULL,
    issuer TEXT NOT NULL,
    issued INTEGER NOT NULL,
    until INTEGER NOT NULL,
    uses INTEGER,
    used INTEGER NOT NULL DEFAULT 0,
    digits INTEGER NOT NULL,
    code_hash BLOB,
    epoch INTEGER NOT NULL,
    revoked INTEGER,
    revoker TEXT
);
CREATE INDEX access_grant_by_user ON access_grant ("user", until);
CREATE INDEX access_grant_by_end ON access_grant (until);

-- Each accept by a grant, with what tells its retry.
CREATE TABLE grant_use (
    access_grant INTEGER NOT NULL REFERENCES access_grant (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    client INTEGER NOT NULL,
    login BLOB NOT NULL,
    at INTEGER NOT NULL,
    request BLOB NOT NULL,
    retry BLOB,
    accept INTEGER NOT NULL,
    reply BLOB,
    PRIMARY KEY (access_grant, number)
);
