-- The master keys that sealed something here, by their ids. The keys themselves are elsewhere; `subkeys`, sealed under the current
-- one, is what lines, handles and recovery codes of an older one are still verified by when that is gone.
CREATE TABLE master_key (
    id BIGINT NOT NULL PRIMARY KEY,
    check_value TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('current', 'leaving', 'retired')),
    since BIGINT NOT NULL,
    subkeys BYTEA
);
INSERT INTO master_key (id, check_value, state, since) SELECT 1, value, 'current', 0 FROM setting WHERE name = 'key.check';
DELETE FROM setting WHERE name = 'key.check';

-- A counter that may lie behind its token (after a restore): up to it and next, two consecutive codes are asked for.
ALTER TABLE factor ADD COLUMN unproven BIGINT;
