-- By which certificates a client is known over TLS: rules, a blank between two.
ALTER TABLE client ADD COLUMN certificates TEXT COLLATE "C" NOT NULL DEFAULT '';
