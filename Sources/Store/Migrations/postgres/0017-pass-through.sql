-- Names that nobody has here and that a client lets a directory decide about alone, in their order: `corp.example`, `corp\` or `*`.
CREATE TABLE client_realm (
    client BIGINT NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    realm TEXT COLLATE "C" NOT NULL,
    directory BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (client, realm)
);
