-- Where passwords live that are not kept here; the secret is shared with every server, which are asked in their order.
CREATE TABLE directory (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    servers TEXT NOT NULL,
    secret BLOB NOT NULL,
    timeout INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    message_authenticator TEXT NOT NULL,
    name_sent TEXT NOT NULL,
    takes TEXT NOT NULL,
    is_enabled INTEGER NOT NULL
);

-- Null: the password is kept here. Whoever writes it looks whether the directory is there.
ALTER TABLE "user" ADD COLUMN directory INTEGER;
CREATE INDEX user_by_directory ON "user" (directory) WHERE directory IS NOT NULL;

-- What a directory said between two packets: the State of its own question, or attributes for the accept.
ALTER TABLE login_handle ADD COLUMN source_word BLOB;
