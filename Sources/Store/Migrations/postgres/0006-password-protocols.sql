-- What is kept beside the hash where an administrator enabled it, both sealed: for MS-CHAP the NT hash, for CHAP the password itself.
ALTER TABLE "user" ADD COLUMN nt_hash BYTEA;
ALTER TABLE "user" ADD COLUMN clear_password BYTEA;
-- The password is right, and opens nothing until it is changed.
ALTER TABLE "user" ADD COLUMN must_change BIGINT NOT NULL DEFAULT 0;

-- How a client's requests may prove a password: words, a blank between two.
ALTER TABLE client ADD COLUMN schemes TEXT COLLATE "C" NOT NULL DEFAULT 'pap';
-- What product it is, and the name that the product asks about to see whether somebody answers.
ALTER TABLE client ADD COLUMN profile TEXT COLLATE "C" NOT NULL DEFAULT 'generic';
ALTER TABLE client ADD COLUMN probe_user TEXT COLLATE "C";
