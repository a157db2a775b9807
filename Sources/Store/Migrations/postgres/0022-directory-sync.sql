-- The directory's entry that a group is, as "user" has one: a renamed group keeps its row.
ALTER TABLE "group" ADD COLUMN entry_directory BIGINT;
ALTER TABLE "group" ADD COLUMN entry_key TEXT COLLATE "C";
CREATE UNIQUE INDEX group_by_entry ON "group" (entry_directory, entry_key) WHERE entry_directory IS NOT NULL;

-- 1 where a sync disabled the user: only then a sync enables the user again.
ALTER TABLE "user" ADD COLUMN sync_disabled BIGINT NOT NULL DEFAULT 0;

-- How often a directory's users and groups are synced, in microseconds; null: by hand alone.
ALTER TABLE directory ADD COLUMN sync_every BIGINT;

-- Who syncs a directory at the moment, and how it went last.
CREATE TABLE directory_sync (
    directory BIGINT NOT NULL PRIMARY KEY REFERENCES directory (id) ON DELETE CASCADE,
    claimed_by TEXT COLLATE "C",
    claimed_until BIGINT,
    started BIGINT,
    ended BIGINT,
    succeeded BIGINT,
    failures BIGINT NOT NULL DEFAULT 0,
    problem TEXT COLLATE "C",
    counts TEXT COLLATE "C"
);
