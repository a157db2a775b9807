// SPDX-License-Identifier: Apache-2.0
// used and recovery_code: what may be used once. Each statement is a guard that writes, and never raises.

extension SQL {
    /// ?1 slot, ?2 factor, ?3 step, ?4 login, ?5 at, ?6 request, ?7 retry, ?8 accept, ?9 user, ?10 reply
    static let mark = SQL(
        """
        INSERT INTO used (slot, factor, step, login, at, request, retry, accept, reply)
        SELECT ?1, f.id, ?3, ?4, ?5, ?6, ?7, ?8, ?10 FROM factor f JOIN "user" u ON u.id = f."user"
        WHERE f.id = ?2 AND f.state = 'active' AND f."user" = ?9 AND u.status = 'active' AND f.folded < ?3
        ON CONFLICT DO NOTHING
        """)
    /// Guards of their own, with no row expected: an INSERT that reads its own table would go by way of a temporary one.
    /// ?1 slot, ?2 factor, ?3 step
    /// In the two slots before; in the current one the mark's own key is in the way.
    static let stepIsUsed = SQL("SELECT 1 FROM used WHERE slot IN (?1 - 1, ?1 - 2) AND factor = ?2 AND step = ?3 LIMIT 1")
    /// A counter that lies below a used one is used too.
    static let counterIsUsed = SQL(
        "SELECT 1 FROM used WHERE slot IN (?1, ?1 - 1, ?1 - 2) AND factor = ?2 AND step >= ?3 LIMIT 1")
    /// ?1 hash, ?2 factor, ?3 nothing, the rest as above
    static let markRecovery = SQL(
        """
        UPDATE recovery_code SET login = ?4, used_at = ?5, request = ?6, retry = ?7, accept = ?8, reply = ?10
        WHERE factor = ?2 AND hash = ?1 AND used_at IS NULL AND coalesce(?3, 0) = 0 AND EXISTS (
            SELECT 1 FROM factor f JOIN "user" u ON u.id = f."user"
            WHERE f.id = ?2 AND f.state = 'active' AND f."user" = ?9 AND u.status = 'active')
        """)
    static let factorActive = SQL(
        """
        SELECT 1 FROM factor f JOIN "user" u ON u.id = f."user"
        WHERE f.id = ?1 AND f."user" = ?2 AND f.state = 'active' AND u.status = 'active'
        """)
    static let markRow = SQL(
        """
        SELECT login, at, accept, request, retry, reply FROM used
        WHERE slot IN (?1, ?1 - 1, ?1 - 2) AND factor = ?2 AND step = ?3 ORDER BY slot DESC LIMIT 1
        """)
    static let recoveryRow = SQL(
        "SELECT login, used_at, accept, request, retry, reply FROM recovery_code WHERE factor = ?1 AND hash = ?2")
}
