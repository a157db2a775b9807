// SPDX-License-Identifier: Apache-2.0
// Whether a PostgreSQL database is whole is for its own tools to say; where it is, for us.

package import LoginEngine

extension PostgresDatabase {
    package func examine(within time: Timestamp.Span) throws(DatabaseError) -> DatabaseExamination {
        var examination = DatabaseExamination()
        examination.isExamined = false
        examination.isElsewhere = try read([Statement(.isElsewhere)])[0][0].integer(0) == 1
        return examination
    }
}

extension SQL {
    /// A socket of this machine has no address; a connection within it has the same at both ends.
    fileprivate static let isElsewhere = SQL(
        "SELECT CAST(CASE WHEN inet_server_addr() <> inet_client_addr() THEN 1 ELSE 0 END AS BIGINT)")
}
