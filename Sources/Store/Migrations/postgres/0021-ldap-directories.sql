-- How a directory is asked by LDAP, as JSON; null for one that speaks RADIUS. The password of its account is in "secret".
ALTER TABLE directory ADD COLUMN ldap TEXT COLLATE "C";

-- The directory's entry that a user is, by the directory's own name of it, which stays when the entry is renamed.
ALTER TABLE "user" ADD COLUMN entry_directory BIGINT;
ALTER TABLE "user" ADD COLUMN entry_key TEXT COLLATE "C";
CREATE UNIQUE INDEX user_by_entry ON "user" (entry_directory, entry_key) WHERE entry_directory IS NOT NULL;
