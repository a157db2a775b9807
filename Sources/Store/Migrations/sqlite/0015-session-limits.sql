-- How many sessions may be open at once; null: what groups and policies say, or any number.
ALTER TABLE "user" ADD COLUMN most_sessions INTEGER;
ALTER TABLE "group" ADD COLUMN most_sessions INTEGER;

-- Accepts of users who may not have any number of sessions, until the gateway reports what came of them, or did not for two minutes.
CREATE TABLE session_claim (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "user" INTEGER NOT NULL,
    client INTEGER NOT NULL,
    station TEXT,
    session_id TEXT,
    login BLOB NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX session_claim_by_user ON session_claim ("user");
-- A user's open sessions among those of a year.
CREATE INDEX session_open_by_user ON session ("user") WHERE ended IS NULL;
