-- Rises whenever the password is set or has to be changed: a change that a device asked for replaces the one it proved, or nothing.
ALTER TABLE "user" ADD COLUMN password_revision INTEGER NOT NULL DEFAULT 0;
-- A new password that came with the first factor, sealed: set with the accept of this login, or never.
ALTER TABLE login_handle ADD COLUMN renewal BLOB;
