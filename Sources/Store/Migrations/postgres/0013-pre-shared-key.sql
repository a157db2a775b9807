-- The key by which TLS knows a client without a certificate (RFC 9813), sealed, and the name that the client calls it by.
ALTER TABLE client ADD COLUMN psk_identity TEXT COLLATE "C";
ALTER TABLE client ADD COLUMN psk BYTEA;
