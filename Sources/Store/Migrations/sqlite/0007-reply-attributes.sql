-- What goes out with an accept: name and value of each attribute, as JSON.
ALTER TABLE client ADD COLUMN reply TEXT NOT NULL DEFAULT '';
ALTER TABLE "group" ADD COLUMN reply TEXT NOT NULL DEFAULT '';

-- The attributes that an accept went out with, as they stood in the packet, for its retry.
ALTER TABLE login_handle ADD COLUMN reply BLOB;
ALTER TABLE used ADD COLUMN reply BLOB;
ALTER TABLE recovery_code ADD COLUMN reply BLOB;
