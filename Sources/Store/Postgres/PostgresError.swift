// SPDX-License-Identifier: Apache-2.0
// PostgreSQL's SQLSTATE in the words of every backend.

internal import CPostgres

extension DatabaseError {
    /// - Parameter state: five characters; empty when it is libpq that complains, so that the server was not even asked.
    static func postgres(_ state: String, _ message: String) -> DatabaseError {
        DatabaseError(kind(of: state), state.isEmpty ? message : "\(message) (SQLSTATE \(state))")
    }

    /// The server's error in a result, in words that name tables and columns, never values.
    static func postgres(_ result: OpaquePointer) -> DatabaseError {
        let state = field(result, "C") ?? ""
        // What is wrong with a value is said with the value.
        guard state.hasPrefix("22") || state.hasPrefix("23") else {
            return .postgres(state, field(result, "M") ?? "no message")
        }
        let places = [("constraint", field(result, "n")), ("column", field(result, "c")), ("table", field(result, "t"))]
        let named = places.compactMap { place in place.1.map { "\(place.0) \($0)" } }
        let what = state.hasPrefix("22") ? "a value does not fit" : "a constraint was violated"
        return .postgres(state, named.isEmpty ? what : "\(what): \(named.joined(separator: " of "))")
    }

    private static func field(_ result: OpaquePointer, _ code: Unicode.Scalar) -> String? {
        PQresultErrorField(result, CInt(code.value)).map { String(cString: $0) }
    }

    private static func kind(of state: String) -> Kind {
        switch state {
        case "": return .lost
        case "53100": return .full
        case "53200": return .outOfMemory
        case "25006": return .readOnly
        // Cancelled by its time limit, by a lock that was not given, by a rival transaction.
        case "57014", "55P03", "40001", "40P01": return .busy
        case "XX001", "XX002": return .damaged
        // The database is not there, or has no schema to work in.
        case "3D000", "3F000": return .cannotOpen
        default: break
        }
        return switch state.prefix(2) {
        case "08", "57": .lost
        case "23": .constraint
        case "28": .cannotOpen
        case "53": .busy
        case "58": .inputOutput
        default: .statement
        }
    }
}
