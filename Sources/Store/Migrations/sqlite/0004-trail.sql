-- Signed ends of the trail, as they went to the log: all of the last two days, one a day before.
CREATE TABLE anchor (
    seq INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    line TEXT NOT NULL
);

-- Every key that anchors and exports were signed with.
CREATE TABLE anchor_key (
    public TEXT NOT NULL PRIMARY KEY,
    since INTEGER NOT NULL
) WITHOUT ROWID;

-- The last line that retention has removed; `told` is the last one that an event tells of.
CREATE TABLE chain_base (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    mac BLOB NOT NULL,
    told INTEGER NOT NULL
);

-- Persons who are being erased: groups up to `position` are done. `keys` are their names, a line each; the row goes at the end.
CREATE TABLE erasure (
    "user" INTEGER NOT NULL PRIMARY KEY,
    requested INTEGER NOT NULL,
    keys TEXT NOT NULL,
    position INTEGER NOT NULL,
    events INTEGER NOT NULL
);
