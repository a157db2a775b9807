// SPDX-License-Identifier: Apache-2.0
// Countries of addresses, by a database file of the administrator's in MaxMind's format.

internal import CMaxMindDB
internal import Glibc
package import LoginEngine
internal import Synchronization

package struct CountryDatabaseError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong with which file, without a full stop.
    package var description: String
}

/// One file as it was when it was opened.
///
/// It is copied into memory of its own: libmaxminddb maps files, and one that somebody writes over would end the process.
package final class CountryDatabase: Sendable {
    /// A database of cities of the whole world has some 60 MiB.
    package static let largest = 512 << 20
    /// MFD_CLOEXEC
    private static let closeOnExec: UInt32 = 1

    // The library only reads what it has mapped, and says that this may be done by several threads at once.
    private nonisolated(unsafe) let database: UnsafeMutablePointer<MMDB_s>
    /// The keys on the way to the two letters, ended by nil, as the library wants them: of where the address is, then of where it is registered.
    private nonisolated(unsafe) let paths: [UnsafeMutablePointer<UnsafePointer<CChar>?>]
    package let built: Timestamp
    package let kind: String

    /// - Throws: why the file is none that countries can be found in.
    package init(path: String) throws(CountryDatabaseError) {
        func failure(_ why: String) -> CountryDatabaseError { CountryDatabaseError(description: "\(path) \(why)") }
        let source = open(path, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw failure("cannot be read: \(String(cString: strerror(errno)))") }
        defer { close(source) }
        var status = stat()
        guard fstat(source, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { throw failure("is no file") }
        guard status.st_size > 0, status.st_size <= Self.largest else {
            throw failure(status.st_size == 0 ? "is empty" : "is larger than \(Self.largest >> 20) MiB")
        }
        let memory = memfd_create("sallyport-countries", Self.closeOnExec)
        guard memory >= 0 else { throw failure("cannot be kept in memory: \(String(cString: strerror(errno)))") }
        defer { close(memory) }
        guard Self.copy(from: source, to: memory, bytes: Int(status.st_size)) else { throw failure("cannot be read to its end") }
        let database = UnsafeMutablePointer<MMDB_s>.allocate(capacity: 1)
        let result = MMDB_open("/proc/self/fd/\(memory)", UInt32(MMDB_MODE_MMAP), database)
        guard result == MMDB_SUCCESS else {
            database.deallocate()
            throw failure("is no database in MaxMind's format: \(String(cString: MMDB_strerror(result)))")
        }
        self.database = database
        built = Timestamp(seconds: Int64(clamping: database.pointee.metadata.build_epoch))
        kind = database.pointee.metadata.database_type.map { String(cString: $0) } ?? ""
        paths = ["country", "registered_country"].map { name in
            let path = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: 3)
            path[0] = UnsafePointer(strdup(name))
            path[1] = UnsafePointer(strdup("iso_code"))
            path[2] = nil
            return path
        }
    }

    deinit {
        MMDB_close(database)
        database.deallocate()
        for path in paths {
            free(UnsafeMutablePointer(mutating: path[0]))
            free(UnsafeMutablePointer(mutating: path[1]))
            path.deallocate()
        }
    }

    private static func copy(from source: Int32, to target: Int32, bytes: Int) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var left = bytes
        while left > 0 {
            let count = read(source, &buffer, min(buffer.count, left))
            guard count > 0 else { return false }
            var written = 0
            while written < count {
                let step = buffer.withUnsafeBytes { write(target, $0.baseAddress! + written, count - written) }
                guard step > 0 else { return false }
                written += step
            }
            left -= count
        }
        return true
    }

    /// Nil where the database does not know, also for addresses of private networks.
    package func country(of address: NetworkAddress) -> CountryCode? {
        var failure = MMDB_SUCCESS
        var found: MMDB_lookup_result_s
        if address.isIPv4 {
            var place = sockaddr_in()
            place.sin_family = sa_family_t(AF_INET)
            place.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.bits).bigEndian
            found = withUnsafePointer(to: &place) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { MMDB_lookup_sockaddr(database, $0, &failure) }
            }
        } else {
            // A database of IPv4 alone refuses to look.
            guard database.pointee.metadata.ip_version == 6 else { return nil }
            var place = sockaddr_in6()
            place.sin6_family = sa_family_t(AF_INET6)
            withUnsafeMutableBytes(of: &place.sin6_addr) { $0.copyBytes(from: address.bytes) }
            found = withUnsafePointer(to: &place) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { MMDB_lookup_sockaddr(database, $0, &failure) }
            }
        }
        guard failure == MMDB_SUCCESS, found.found_entry else { return nil }
        for path in paths {
            var data = MMDB_entry_data_s()
            guard MMDB_aget_value(&found.entry, &data, path) == MMDB_SUCCESS, data.has_data,
                data.type == UInt32(MMDB_DATA_TYPE_UTF8_STRING),
                data.data_size == 2, let bytes = data.utf8_string
            else { continue }
            let text = String(decoding: UnsafeRawBufferPointer(start: bytes, count: 2), as: UTF8.self)
            if let code = CountryCode(text) { return code }
        }
        return nil
    }
}

/// The database that is in force, put in another's place while logins look into it.
package final class Countries: Sendable {
    private struct State {
        var database: CountryDatabase?
        /// Of the file when it was read: inode, size and time of change.
        var stamp: [Int64] = []
        var problem: String?
    }

    package let path: String
    private let state = Mutex(State())

    /// Reads the file; what is wrong with it is a `problem` and no reason not to start: it fails closed.
    package init(path: String) {
        self.path = path
        reload(isAsked: true)
    }

    /// - Parameter isAsked: also where the file looks as it did.
    /// - Returns: why the file is not in force, where that is new.
    @discardableResult
    package func reload(isAsked: Bool) -> String? {
        let stamp = Self.stamp(path)
        guard isAsked || state.withLock({ $0.stamp != stamp }) else { return nil }
        let result: Result<CountryDatabase, CountryDatabaseError>
        do throws(CountryDatabaseError) {
            result = .success(try CountryDatabase(path: path))
        } catch {
            result = .failure(error)
        }
        return state.withLock { state in
            state.stamp = stamp
            switch result {
            case .success(let database):
                (state.database, state.problem) = (database, nil)
                return nil
            case .failure(let error):
                // The one before goes on where there is one: an old answer is better than none, and doctor says so.
                state.problem = error.description
                return error.description
            }
        }
    }

    package var problem: String? { state.withLock { $0.database == nil ? $0.problem : nil } }
    /// The newer file that is not in force.
    package var notInForce: String? { state.withLock { $0.database == nil ? nil : $0.problem } }
    package var built: Timestamp? { state.withLock { $0.database?.built } }

    package func country(of address: NetworkAddress) -> CountryCode? {
        // What was read stays as long as somebody looks into it.
        let database = state.withLock { $0.database }
        return database?.country(of: address)
    }

    package var lookup: CountryLookup { CountryLookup { [self] in country(of: $0) } }

    private static func stamp(_ path: String) -> [Int64] {
        var status = stat()
        guard stat(path, &status) == 0 else { return [] }
        return [Int64(status.st_ino), Int64(status.st_size), Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec)]
    }
}
