-- What each commit used up, packed: only appended, and dropped from the front once it is folded into factor.folded.
-- Where several nodes write, `used` is what counts.
CREATE TABLE mark_log (
    id BIGINT NOT NULL PRIMARY KEY,
    body BYTEA NOT NULL
);
