-- Secrets of servers that do not share the directory's, all of one directory sealed as one value.
ALTER TABLE directory ADD COLUMN server_secrets BYTEA;
