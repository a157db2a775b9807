-- Where the passwords of a group's members live, and of those who log in at a client, as "user".directory says it of one user: null says
-- nothing, 0 is here. The user's own word counts before a group's, and a group's before the client's.
ALTER TABLE "group" ADD COLUMN directory BIGINT;
ALTER TABLE client ADD COLUMN directory BIGINT;
