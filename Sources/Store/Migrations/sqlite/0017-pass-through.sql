-- Names that nobody has here and that a client lets a directory decide about alone, in their order: `corp.example`, `corp\` or `*`.
CREATE TABLE client_realm (
    client INTEGER NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    realm TEXT NOT NULL,
    directory INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (client, realm)
);
