-- In which bytes the gateway sends names and passwords: utf-8, latin-1, auto.
ALTER TABLE client ADD COLUMN charset TEXT COLLATE "C" NOT NULL DEFAULT 'utf-8';
