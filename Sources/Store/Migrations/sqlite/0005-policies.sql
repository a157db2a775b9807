-- Words that policies may name a client by: sorted, a blank between two.
ALTER TABLE client ADD COLUMN tags TEXT NOT NULL DEFAULT '';

-- The policies that are in force, in their order. `body` is the rule as JSON.
CREATE TABLE policy (
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    position INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    body TEXT NOT NULL
);

-- What a policy names, so that nothing it names is removed under it.
CREATE TABLE policy_client (
    policy INTEGER NOT NULL REFERENCES policy (id) ON DELETE CASCADE,
    client INTEGER NOT NULL REFERENCES client (id),
    PRIMARY KEY (policy, client)
) WITHOUT ROWID;
CREATE INDEX policy_client_by_client ON policy_client (client);
CREATE TABLE policy_group (
    policy INTEGER NOT NULL REFERENCES policy (id) ON DELETE CASCADE,
    "group" INTEGER NOT NULL REFERENCES "group" (id),
    PRIMARY KEY (policy, "group")
) WITHOUT ROWID;
CREATE INDEX policy_group_by_group ON policy_group ("group");

-- Every revision of every policy, for good.
CREATE TABLE policy_revision (
    policy INTEGER NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (policy, number)
) WITHOUT ROWID;
CREATE INDEX policy_revision_by_name ON policy_revision (name);

-- Which policies were in force since when: `policy:revision`, in order, a blank between two.
CREATE TABLE policy_order (
    number INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    members TEXT NOT NULL
);

-- The first login under a policy that was let in without a factor.
CREATE TABLE grace_start (
    policy INTEGER NOT NULL,
    "user" INTEGER NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
    began INTEGER NOT NULL,
    PRIMARY KEY (policy, "user")
) WITHOUT ROWID;
CREATE INDEX grace_start_by_user ON grace_start ("user");

-- Users who had a factor and lost it: they get no grace any more.
CREATE TABLE grace_over (
    "user" INTEGER NOT NULL PRIMARY KEY REFERENCES "user" (id) ON DELETE CASCADE,
    at INTEGER NOT NULL
);
