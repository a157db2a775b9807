-- The row's other columns, sealed: only a node that holds the master key can ask for an erasure.
ALTER TABLE erasure ADD COLUMN seal BLOB;
