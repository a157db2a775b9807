-- The methods of EAP that the client's users may log in by, in the order in which they are offered. Empty: none.
ALTER TABLE client ADD COLUMN eap TEXT NOT NULL DEFAULT '';
