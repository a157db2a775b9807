// SPDX-License-Identifier: Apache-2.0
// Written by scripts/generate-migrations from Migrations/; do not edit (generated).

extension Migration {
    private static let sqlite1 = Migration(
        number: 1, name: "initial",
        checksum: "8fbae4771e2cfd268d84070c1098b32fad078f96d02ec7874bf04c7763dbf311",
        script: #"""
            -- Times are microseconds since 1970 (UTC). Text enumerations are the raw values of LoginEngine's.

            CREATE TABLE schema_version (
                number INTEGER NOT NULL PRIMARY KEY,
                name TEXT NOT NULL UNIQUE,
                checksum TEXT NOT NULL,
                applied INTEGER NOT NULL
            );

            -- Chain id, key check, epoch: what there is one of.
            CREATE TABLE setting (
                name TEXT NOT NULL PRIMARY KEY,
                value TEXT NOT NULL
            ) WITHOUT ROWID;

            -- Rises with every administrative change, so that a node notices.
            CREATE TABLE revision (
                id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
                number INTEGER NOT NULL
            );
            INSERT INTO revision (id, number) VALUES (1, 1);

            CREATE TABLE "user" (
                id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
                name TEXT NOT NULL,
                name_key TEXT NOT NULL UNIQUE,
                status TEXT NOT NULL CHECK (status IN ('pending', 'active', 'disabled')),
                password_hash BLOB,
                email TEXT,
                phone TEXT,
                time_zone TEXT,
                created INTEGER NOT NULL
            );

            -- Login name and aliases, by what they are found by (`UserName.key`).
            CREATE TABLE user_name (
                name_key TEXT NOT NULL PRIMARY KEY,
                "user" INTEGER NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
                name TEXT NOT NULL,
                is_alias INTEGER NOT NULL
            ) WITHOUT ROWID;
            CREATE INDEX user_name_by_user ON user_name ("user");

            CREATE TABLE "group" (
                id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
                name TEXT NOT NULL UNIQUE
            );

            CREATE TABLE membership (
                "group" INTEGER NOT NULL REFERENCES "group" (id) ON DELETE CASCADE,
                "user" INTEGER NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
                PRIMARY KEY ("group", "user")
            ) WITHOUT ROWID;
            CREATE INDEX membership_by_user ON membership ("user");

            CREATE TABLE group_in_group (
                "group" INTEGER NOT NULL REFERENCES "group" (id) ON DELETE CASCADE,
                member INTEGER NOT NULL REFERENCES "group" (id) ON DELETE CASCADE,
                PRIMARY KEY ("group", member),
                CHECK ("group" <> member)
            ) WITHOUT ROWID;
            CREATE INDEX group_in_group_by_member ON group_in_group (member);

            CREATE TABLE client (
                id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
                name TEXT NOT NULL UNIQUE,
                secret BLOB NOT NULL,
                message_authenticator TEXT NOT NULL,
                requirement TEXT NOT NULL,
                asking TEXT NOT NULL,
                separator TEXT,
                fixed_length_tail INTEGER NOT NULL,
                conceal_factor INTEGER NOT NULL,
                helpful_messages INTEGER NOT NULL,
                name_stripping TEXT NOT NULL,
                retry_timeout INTEGER NOT NULL,
                retry_tries INTEGER NOT NULL,
                rejoin INTEGER NOT NULL,
                automatic_push INTEGER NOT NULL,
                bind_before_code INTEGER NOT NULL,
                is_enabled INTEGER NOT NULL
            );

            -- One range belongs to one client.
            CREATE TABLE client_address (
                range TEXT NOT NULL PRIMARY KEY,
                client INTEGER NOT NULL REFERENCES client (id) ON DELETE CASCADE,
                position INTEGER NOT NULL
            ) WITHOUT ROWID;
            CREATE INDEX client_address_by_client ON client_address (client);

            -- Sources that have shown that they always send a Message-Authenticator.
            CREATE TABLE client_pin (
                client INTEGER NOT NULL REFERENCES client (id) ON DELETE CASCADE,
                address BLOB NOT NULL,
                at INTEGER NOT NULL,
                PRIMARY KEY (client, address)
            ) WITHOUT ROWID;

            -- The hot path never updates a row here: marks go to `used` and are folded in later.
            CREATE TABLE factor (
                id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
                "user" INTEGER NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
                kind TEXT NOT NULL,
                label TEXT NOT NULL,
                state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'disabled')),
                secret BLOB,
                algorithm TEXT NOT NULL,
                digits INTEGER NOT NULL,
                period INTEGER NOT NULL,
                folded INTEGER NOT NULL,
                drift INTEGER NOT NULL,
                created INTEGER NOT NULL,
                last_used INTEGER
            );
            CREATE INDEX factor_by_user ON factor ("user");

            CREATE TABLE factor_resync (
                factor INTEGER NOT NULL PRIMARY KEY REFERENCES factor (id) ON DELETE CASCADE,
                counter INTEGER NOT NULL,
                expires INTEGER NOT NULL
            );

            CREATE TABLE recovery_code (
                factor INTEGER NOT NULL REFERENCES factor (id) ON DELETE CASCADE,
                hash BLOB NOT NULL,
                used_at INTEGER,
                login BLOB,
                accept INTEGER,
                request BLOB,
                retry BLOB,
                PRIMARY KEY (factor, hash)
            ) WITHOUT ROWID;

            -- Steps and counters that were used; `slot` is the UTC day on which they were, so that old ones go by range.
            CREATE TABLE used (
                slot INTEGER NOT NULL,
                factor INTEGER NOT NULL,
                step INTEGER NOT NULL,
                login BLOB NOT NULL,
                at INTEGER NOT NULL,
                request BLOB NOT NULL,
                retry BLOB,
                accept INTEGER NOT NULL,
                PRIMARY KEY (slot, factor, step)
            ) WITHOUT ROWID;

            -- The row behind a handle (RADIUS State), with its decision once it was used.
            CREATE TABLE login_handle (
                handle BLOB NOT NULL PRIMARY KEY,
                login BLOB NOT NULL,
                client INTEGER NOT NULL,
                "user" INTEGER,
                name_key TEXT NOT NULL,
                station TEXT,
                first_factor INTEGER NOT NULL,
                issued INTEGER NOT NULL,
                expires INTEGER NOT NULL,
                decided_login BLOB,
                decided_at INTEGER,
                accept INTEGER,
                request BLOB,
                retry BLOB
            ) WITHOUT ROWID;
            CREATE INDEX login_handle_by_expiry ON login_handle (expires);

            CREATE TABLE failure (
                "user" INTEGER NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
                kind INTEGER NOT NULL,
                source TEXT NOT NULL,
                count INTEGER NOT NULL,
                since INTEGER NOT NULL,
                level INTEGER NOT NULL,
                locked_until INTEGER,
                PRIMARY KEY ("user", kind, source)
            ) WITHOUT ROWID;

            -- One row per commit: the lines of the trail, packed; `mac` is over all the others.
            CREATE TABLE event_group (
                first_seq INTEGER NOT NULL PRIMARY KEY,
                count INTEGER NOT NULL,
                at_first INTEGER NOT NULL,
                at_last INTEGER NOT NULL,
                previous_hash BLOB NOT NULL,
                head_hash BLOB NOT NULL,
                mac BLOB NOT NULL,
                body BLOB NOT NULL
            );

            -- What belongs to persons, with the salts of its commitments; may be erased without breaking the chain.
            CREATE TABLE event_personal (
                first_seq INTEGER NOT NULL PRIMARY KEY,
                body BLOB NOT NULL
            );

            CREATE TABLE chain_head (
                id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
                seq INTEGER NOT NULL,
                hash BLOB NOT NULL,
                mac BLOB NOT NULL
            );

            -- Filled behind the writer, up to the watermark; what lies above is scanned.
            CREATE TABLE event_index (
                id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
                watermark INTEGER NOT NULL
            );
            INSERT INTO event_index (id, watermark) VALUES (1, 0);
            CREATE TABLE event_login (login BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (login, seq)) WITHOUT ROWID;
            CREATE TABLE event_user ("user" INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY ("user", seq)) WITHOUT ROWID;
            CREATE TABLE event_client (client INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (client, seq)) WITHOUT ROWID;
            """#)

    private static let sqlite2 = Migration(
        number: 2, name: "mark-log",
        checksum: "1e580d7c7a0d53e34fd89841975263a2c4e9aafc43c0fd46878def262a737016",
        script: #"""
            -- What each commit used up, packed: only appended, and dropped from the front once it is folded into factor.folded.
            -- Where several nodes write, `used` is what counts.
            CREATE TABLE mark_log (
                id INTEGER NOT NULL PRIMARY KEY,
                body BLOB NOT NULL
            );
            """#)

    private static let sqlite3 = Migration(
        number: 3, name: "master-key",
        checksum: "c5e53949d50f901e7383d8314d304666e99c535f13f5e44944084ae76fa31781",
        script: #"""
            -- The master keys that sealed something here, by their ids. The keys themselves are elsewhere; `subkeys`, sealed under the current
            -- one, is what lines, handles and recovery codes of an older one are still verified by when that is gone.
            CREATE TABLE master_key (
                id INTEGER NOT NULL PRIMARY KEY,
                check_value TEXT NOT NULL,
                state TEXT NOT NULL CHECK (state IN ('current', 'leaving', 'retired')),
                since INTEGER NOT NULL,
                subkeys BLOB
            );
            INSERT INTO master_key (id, check_value, state, since) SELECT 1, value, 'current', 0 FROM setting WHERE name = 'key.check';
            DELETE FROM setting WHERE name = 'key.check';

            -- A counter that may lie behind its token (after a restore): up to it and next, two consecutive codes are asked for.
            ALTER TABLE factor ADD COLUMN unproven INTEGER;
            """#)

    static let sqlite: [Migration] = [sqlite1, sqlite2, sqlite3]
}
