-- Words that policies may name a client by: sorted, a blank between two.
ALTER TABLE client ADD COLUMN tags TEXT COLLATE "C" NOT NULL DEFAULT '';

-- The policies that are in force, in their order. `body` is the rule as JSON.
CREATE TABLE policy (
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    position BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    body TEXT COLLATE "C" NOT NULL
);

-- What a policy names, so that nothing it names is removed under it.
CREATE TABLE policy_client (
    policy BIGINT NOT NULL REFERENCES policy (id) ON DELETE CASCADE,
    client BIGINT NOT NULL REFERENCES client (id),
    PRIMARY KEY (policy, client)
);
CREATE INDEX policy_client_by_client ON policy_client (client);
CREATE TABLE policy_group (
    policy BIGINT NOT NULL REFERENCES policy (id) ON DELETE CASCADE,
    "group" BIGINT NOT NULL REFERENCES "group" (id),
    PRIMARY KEY (policy, "group")
);
CREATE INDEX policy_group_by_group ON policy_group ("group");

-- Every revision of every policy, for good.
CREATE TABLE policy_revision (
    policy BIGINT NOT NULL,
    number BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (policy, number)
);
CREATE INDEX policy_revision_by_name ON policy_revision (name);

-- Which policies were in force since when: `policy:revision`, in order, a blank between two.
CREATE TABLE policy_order (
    number BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    members TEXT COLLATE "C" NOT NULL
);

-- The first login under a policy that was let in without a factor.
CREATE TABLE grace_start (
    policy BIGINT NOT NULL,
    "user" BIGINT NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
    began BIGINT NOT NULL,
    PRIMARY KEY (policy, "user")
);
CREATE INDEX grace_start_by_user ON grace_start ("user");

-- Users who had a factor and lost it: they get no grace any more.
CREATE TABLE grace_over (
    "user" BIGINT NOT NULL PRIMARY KEY REFERENCES "user" (id) ON DELETE CASCADE,
    at BIGINT NOT NULL
);
