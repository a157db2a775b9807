-- Signed ends of the trail, as they went to the log: all of the last two days, one a day before.
CREATE TABLE anchor (
    seq BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    line TEXT COLLATE "C" NOT NULL
);

-- Every key that anchors and exports were signed with.
CREATE TABLE anchor_key (
    public TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL
);

-- The last line that retention has removed; `told` is the last one that an event tells of.
CREATE TABLE chain_base (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    mac BYTEA NOT NULL,
    told BIGINT NOT NULL
);

-- Persons who are being erased: groups up to `position` are done. `keys` are their names, a line each; the row goes at the end.
CREATE TABLE erasure (
    "user" BIGINT NOT NULL PRIMARY KEY,
    requested BIGINT NOT NULL,
    keys TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    events BIGINT NOT NULL
);
