// SPDX-License-Identifier: Apache-2.0
// One connection to an LDAP server. The only file that calls libldap; everything in it blocks until an answer or a deadline.

internal import CLDAP
internal import Foundation
package import LoginEngine
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

package enum LDAPScope: CInt, Sendable {
    case base = 0
    case subtree = 2
}

/// Used by one thread at a time, to which the pool lends it: that, and not the library, is what makes it safe to hand over.
package final class LDAPConnection: @unchecked Sendable {
    package let server: LDAPServer
    private var ld: OpaquePointer?
    /// Something went wrong on it: whatever comes next could be an answer to an older question.
    package private(set) var isBroken = false
    package private(set) var used: Timestamp

    /// RFC 4511 has no limit; a directory's answers to what is asked here are small.
    static let mostIncoming: Int = 16 << 20
    static let mostValues = 5_000

    private static let resultEntry: CInt = 0x64
    private static let resultDone: CInt = 0x65
    private static let resultReference: CInt = 0x73

    /// Connects, with TLS where the server's address says so. Blocks for at most about `until`, beside the look-up of a name.
    package static func open(_ server: LDAPServer, caFile: String?, until: Timestamp, now: Timestamp) throws(LDAPFailure) -> LDAPConnection
    {
        // libldap sets itself up once, and not for several threads at a time.
        _ = usesGnuTLS
        var ld: OpaquePointer?
        guard ldap_initialize(&ld, server.url) == 0, let ld else {
            throw LDAPFailure(.malformed, "\(server) is no address of an LDAP server")
        }
        let connection = LDAPConnection(server, ld, at: now)
        do throws(LDAPFailure) {
            try connection.set(caFile: caFile, patience: until - now)
            try connection.connect()
        } catch {
            connection.close()
            throw error
        }
        return connection
    }

    private init(_ server: LDAPServer, _ ld: OpaquePointer, at now: Timestamp) {
        self.server = server
        self.ld = ld
        used = now
    }

    deinit { close() }

    /// Nothing is left to /etc/ldap/ldap.conf or the environment.
    private func set(caFile: String?, patience: Timestamp.Span) throws(LDAPFailure) {
        func number(_ option: CInt, _ value: CInt) -> Bool {
            var value = value
            return ldap_set_option(ld, option, &value) == 0
        }
        var time = Self.time(patience)
        let authorities = caFile ?? Self.systemAuthorities
        var isSet = number(LDAP_OPT_PROTOCOL_VERSION, 3)
        isSet = ldap_set_option(ld, LDAP_OPT_REFERRALS, nil) == 0 && isSet
        isSet = ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &time) == 0 && isSet
        isSet = ldap_set_option(ld, LDAP_OPT_TIMEOUT, &time) == 0 && isSet
        isSet = number(LDAP_OPT_DEREF, 0) && isSet
        guard isSet else { throw LDAPFailure(.unreachable, "libldap refuses its options") }
        guard server.security != .plain else { return }
        guard FileManager.default.isReadableFile(atPath: authorities) else {
            throw LDAPFailure(.tls, "the file of authorities \(authorities) cannot be read")
        }
        isSet = number(LDAP_OPT_X_TLS_REQUIRE_CERT, LDAP_OPT_X_TLS_DEMAND)
        isSet = authorities.withCString { ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, $0) == 0 } && isSet
        if Self.usesGnuTLS {
            // RFC 8996: no version before 1.2.
            isSet =
                "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2".withCString { ldap_set_option(ld, LDAP_OPT_X_TLS_CIPHER_SUITE, $0) == 0 }
                && isSet
        } else {
            isSet = number(LDAP_OPT_X_TLS_PROTOCOL_MIN, (3 << 8) + 3) && isSet
        }
        isSet = number(LDAP_OPT_X_TLS_NEWCTX, 0) && isSet
        guard isSet else { throw LDAPFailure(.tls, "the file of authorities \(authorities) holds no certificate that can be used") }
    }

    /// Debian's, from ca-certificates.
    static let systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"

    private static let usesGnuTLS: Bool = {
        var name: UnsafeMutablePointer<CChar>?
        guard ldap_get_option(nil, LDAP_OPT_X_TLS_PACKAGE, &name) == 0, let name else { return false }
        defer { ldap_memfree(name) }
        return String(cString: name) == "GnuTLS"
    }()

    private func connect() throws(LDAPFailure) {
        let code = ldap_connect(ld)
        guard code == 0 else { throw broken(code, server.security == .tls ? "TLS with \(server)" : "a connection to \(server)") }
        limitIncoming()
        guard server.security == .startTLS else { return }
        let answer = ldap_start_tls_s(ld, nil, nil)
        guard answer == 0 else {
            isBroken = true
            let why = diagnostic
            throw LDAPFailure(.tls, "StartTLS with \(server) failed: \(Self.words(answer))" + (why.isEmpty ? "" : " (\(why))"))
        }
    }

    private func limitIncoming() {
        var socket: OpaquePointer?
        guard ldap_get_option(ld, LDAP_OPT_SOCKBUF, &socket) == 0, let socket else { return }
        var most: ber_len_t = ber_len_t(Self.mostIncoming)
        _ = ber_sockbuf_ctrl(socket, LBER_SB_OPT_SET_MAX_INCOMING, &most)
    }

    package func close() {
        if let ld { ldap_unbind_ext(ld, nil, nil) }
        ld = nil
        isBroken = true
    }

    /// Whether the server has closed it, or says something that nobody asked for (RFC 4511 §4.4.1).
    package var isStale: Bool {
        guard !isBroken, let ld else { return true }
        var descriptor: CInt = -1
        guard ldap_get_option(ld, LDAP_OPT_DESC, &descriptor) == 0, descriptor >= 0 else { return true }
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) != 0
    }

    /// The certificate that the server showed, DER; nil without TLS.
    package var certificate: [UInt8]? {
        guard server.security != .plain, let ld else { return nil }
        var value = berval()
        guard ldap_get_option(ld, LDAP_OPT_X_TLS_PEERCERT, &value) == 0, let bytes = value.bv_val else { return nil }
        defer { ber_memfree(bytes) }
        return Array(UnsafeRawBufferPointer(start: bytes, count: Int(value.bv_len)))
    }

    // MARK: Operations

    /// Simple bind (RFC 4513 §5.1.3). An empty name or password would be let in as nobody (§5.1.1, §5.1.2), and is never sent.
    package func bind(_ name: String, _ password: Secret, asksPolicy: Bool, until: Timestamp, now: () -> Timestamp)
        throws(LDAPFailure) -> LDAPBindAnswer
    {
        guard !name.isEmpty, !password.isEmpty, !name.utf8.contains(0) else {
            throw LDAPFailure(.malformed, "a bind without name or password is not sent")
        }
        var message: CInt = 0
        var control: UnsafeMutablePointer<LDAPControl>?
        if asksPolicy { ldap_create_passwordpolicy_control(ld, &control) }
        defer { if let control { ldap_control_free(control) } }
        var controls: [UnsafeMutablePointer<LDAPControl>?] = [control, nil]
        let code = password.reveal { bytes -> CInt in
            var bytes = bytes
            return bytes.withUnsafeMutableBytes { buffer in
                var value = berval(bv_len: ber_len_t(buffer.count), bv_val: buffer.baseAddress?.assumingMemoryBound(to: CChar.self))
                return controls.withUnsafeMutableBufferPointer { ldap_sasl_bind(ld, name, nil, &value, $0.baseAddress, nil, &message) }
            }
        }
        guard code == 0 else { throw broken(code, "a bind at \(server)") }
        do throws(LDAPFailure) {
            let result = try wait(for: message, until: until, now: now, "a bind at \(server)")
            used = now()
            return try answer(result)
        } catch {
            var failure = error
            failure.isBehindBind = true
            throw failure
        }
    }

    private func answer(_ result: OpaquePointer) throws(LDAPFailure) -> LDAPBindAnswer {
        var code: CInt = 0
        var text: UnsafeMutablePointer<CChar>?
        var controls: UnsafeMutablePointer<UnsafeMutablePointer<LDAPControl>?>?
        let parsed = ldap_parse_result(ld, result, &code, nil, &text, nil, &controls, 1)
        defer {
            if let text { ldap_memfree(text) }
            if let controls { ldap_controls_free(controls) }
        }
        guard parsed == 0 else { throw broken(parsed, "what \(server) answered") }
        var answer = LDAPBindAnswer(code: Int(code), diagnostic: Self.shown(text))
        if let controls, let found = ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, nil) {
            var error = PP_noError
            var (expire, grace): (ber_int_t, ber_int_t) = (0, 0)
            if ldap_parse_passwordpolicy_control(ld, found, &expire, &grace, &error) == 0, error != PP_noError {
                answer.policyError = Int(error.rawValue)
            }
        }
        return answer
    }

    /// - Parameter limit: of entries; more are `.tooMany`.
    package func search(
        _ base: String, _ scope: LDAPScope, _ filter: String, _ attributes: [String], limit: Int, until: Timestamp, now: () -> Timestamp
    ) throws(LDAPFailure) -> [LDAPEntry] {
        guard !base.utf8.contains(0), !filter.utf8.contains(0) else { throw LDAPFailure(.malformed, "a NUL in a search") }
        var message: CInt = 0
        var names: [UnsafeMutablePointer<CChar>?] = attributes.map { strdup($0) } + [nil]
        defer { for name in names { free(name) } }
        var time = Self.time(until - now())
        let code = names.withUnsafeMutableBufferPointer {
            ldap_search_ext(ld, base, scope.rawValue, filter, $0.baseAddress, 0, nil, nil, &time, CInt(limit), &message)
        }
        if code == LDAP_FILTER_ERROR || code == LDAP_PARAM_ERROR {
            throw LDAPFailure(.malformed, "the filter \(filter.prefix(200)) cannot be read")
        }
        guard code == 0 else { throw broken(code, "a search at \(server)") }
        var entries: [LDAPEntry] = []
        var values = 0
        while true {
            let result = try wait(for: message, until: until, now: now, "a search at \(server)")
            switch ldap_msgtype(result) {
            case Self.resultEntry:
                defer { ldap_msgfree(result) }
                guard entries.count < limit else {
                    abandon(message)
                    throw LDAPFailure(.tooMany, "more than \(limit) entries fit \(filter.prefix(200))")
                }
                entries.append(entry(result, &values))
            case Self.resultReference:
                // Referrals are not followed: whoever could name one would be shown passwords.
                ldap_msgfree(result)
            case Self.resultDone:
                used = now()
                let answer = try answer(result)
                switch answer.code {
                case 0: return entries
                // noSuchObject: nothing is there.
                case 32: return []
                // sizeLimitExceeded
                case 4: throw LDAPFailure(.tooMany, "more than \(limit) entries fit \(filter.prefix(200))")
                case 3: throw LDAPFailure(.timeout, "\(server) did not end a search in time")
                default:
                    throw LDAPFailure(
                        .refused(answer.code),
                        "\(server) refuses a search: \(Self.words(CInt(answer.code)))"
                            + (answer.diagnostic.isEmpty ? "" : " (\(answer.diagnostic))"))
                }
            default:
                ldap_msgfree(result)
                isBroken = true
                throw LDAPFailure(.unreachable, "\(server) answered a search with something else")
            }
        }
    }

    /// RFC 2696: one page of what fits, and where the next one begins.
    ///
    /// - Parameter cookie: of the page before; nil: the first one.
    /// - Returns: the cookie is nil after the last page.
    package func page(
        of base: String, _ filter: String, _ attributes: [String], size: Int, after cookie: [UInt8]?, until: Timestamp, now: () -> Timestamp
    ) throws(LDAPFailure) -> (entries: [LDAPEntry], cookie: [UInt8]?) {
        guard !base.utf8.contains(0), !filter.utf8.contains(0) else { throw LDAPFailure(.malformed, "a NUL in a search") }
        var control: UnsafeMutablePointer<LDAPControl>?
        var given = cookie ?? []
        let made = given.withUnsafeMutableBytes { buffer in
            var value = berval(bv_len: ber_len_t(buffer.count), bv_val: buffer.baseAddress?.assumingMemoryBound(to: CChar.self))
            return ldap_create_page_control(ld, ber_int_t(size), &value, 1, &control)
        }
        guard made == 0, let control else { throw LDAPFailure(.malformed, "a page of \(size) entries cannot be asked for") }
        defer { ldap_control_free(control) }
        var controls: [UnsafeMutablePointer<LDAPControl>?] = [control, nil]
        var message: CInt = 0
        var names: [UnsafeMutablePointer<CChar>?] = attributes.map { strdup($0) } + [nil]
        defer { for name in names { free(name) } }
        let code = names.withUnsafeMutableBufferPointer { names in
            controls.withUnsafeMutableBufferPointer { controls in
                ldap_search_ext(
                    ld, base, LDAPScope.subtree.rawValue, filter, names.baseAddress, 0, controls.baseAddress, nil, nil, 0, &message)
            }
        }
        if code == LDAP_FILTER_ERROR || code == LDAP_PARAM_ERROR {
            throw LDAPFailure(.malformed, "the filter \(filter.prefix(200)) cannot be read")
        }
        guard code == 0 else { throw broken(code, "a search at \(server)") }
        var entries: [LDAPEntry] = []
        var values = 0
        while true {
            let result = try wait(for: message, until: until, now: now, "a search at \(server)")
            switch ldap_msgtype(result) {
            case Self.resultEntry:
                defer { ldap_msgfree(result) }
                guard entries.count < size else {
                    isBroken = true
                    throw LDAPFailure(.tooMany, "\(server) sends more than the \(size) entries of a page")
                }
                entries.append(entry(result, &values, most: Self.mostPageValues))
                guard values < Self.mostPageValues else {
                    isBroken = true
                    throw LDAPFailure(.tooMany, "\(server) sends more than \(Self.mostPageValues) values in one page")
                }
            case Self.resultReference: ldap_msgfree(result)
            case Self.resultDone:
                used = now()
                return (entries, try nextPage(result))
            default:
                ldap_msgfree(result)
                isBroken = true
                throw LDAPFailure(.unreachable, "\(server) answered a search with something else")
            }
        }
    }

    static let mostPageValues = 2_000_000

    private func nextPage(_ result: OpaquePointer) throws(LDAPFailure) -> [UInt8]? {
        var code: CInt = 0
        var text: UnsafeMutablePointer<CChar>?
        var controls: UnsafeMutablePointer<UnsafeMutablePointer<LDAPControl>?>?
        let parsed = ldap_parse_result(ld, result, &code, nil, &text, nil, &controls, 1)
        defer {
            if let text { ldap_memfree(text) }
            if let controls { ldap_controls_free(controls) }
        }
        guard parsed == 0 else { throw broken(parsed, "what \(server) answered") }
        guard code == 0 else {
            let why = Self.shown(text)
            throw LDAPFailure(
                .refused(Int(code)), "\(server) ends a search before it is done: \(Self.words(code))" + (why.isEmpty ? "" : " (\(why))"))
        }
        guard let controls, let found = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, nil) else { return nil }
        var estimate: ber_int_t = 0
        var value = berval()
        guard ldap_parse_pageresponse_control(ld, found, &estimate, &value) == 0 else {
            throw LDAPFailure(.unreachable, "\(server) does not say where the next page begins")
        }
        defer { if let bytes = value.bv_val { ber_memfree(bytes) } }
        guard let bytes = value.bv_val, value.bv_len > 0 else { return nil }
        return Array(UnsafeRawBufferPointer(start: bytes, count: Int(value.bv_len)))
    }

    private func entry(_ message: OpaquePointer, _ count: inout Int, most: Int = LDAPConnection.mostValues) -> LDAPEntry {
        var entry = LDAPEntry(dn: "", values: [:])
        if let dn = ldap_get_dn(ld, message) {
            entry.dn = String(cString: dn)
            ldap_memfree(dn)
        }
        var cursor: OpaquePointer?
        var next = ldap_first_attribute(ld, message, &cursor)
        while let name = next {
            let key = String(cString: name).lowercased()
            if let found = ldap_get_values_len(ld, message, name) {
                var index = 0
                while let value = found[index], count < most {
                    entry.values[key, default: []].append(
                        Array(UnsafeRawBufferPointer(start: value.pointee.bv_val, count: Int(value.pointee.bv_len))))
                    index += 1
                    count += 1
                }
                ldap_value_free_len(found)
            }
            ldap_memfree(name)
            next = ldap_next_attribute(ld, message, cursor)
        }
        if let cursor { ber_free(cursor, 0) }
        return entry
    }

    // MARK: Waiting

    private func wait(for message: CInt, until: Timestamp, now: () -> Timestamp, _ what: String) throws(LDAPFailure) -> OpaquePointer {
        var result: OpaquePointer?
        let left = until - now()
        // Whoever sends without end is not listened to without end.
        guard left.microseconds > 0 else {
            isBroken = true
            throw LDAPFailure(.timeout, "\(what) was not answered in time")
        }
        var time = Self.time(max(left, .milliseconds(1)))
        let type = ldap_result(ld, message, 0, &time, &result)
        if type > 0, let result { return result }
        if type == 0 {
            isBroken = true
            throw LDAPFailure(.timeout, "\(what) was not answered in time")
        }
        var code: CInt = 0
        ldap_get_option(ld, LDAP_OPT_RESULT_CODE, &code)
        throw broken(code, what)
    }

    private func abandon(_ message: CInt) { _ = ldap_abandon_ext(ld, message, nil, nil) }

    private func broken(_ code: CInt, _ what: String) -> LDAPFailure {
        isBroken = true
        let why = diagnostic
        let kind: LDAPFailure.Kind =
            code == LDAP_TIMEOUT
            ? .timeout : server.security == .tls && !why.isEmpty && why.lowercased().contains("certificate") ? .tls : .unreachable
        return LDAPFailure(kind, "\(what) failed: \(Self.words(code))" + (why.isEmpty ? "" : " (\(why))"))
    }

    private var diagnostic: String {
        var text: UnsafeMutablePointer<CChar>?
        guard ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text) == 0 else { return "" }
        defer { if let text { ldap_memfree(text) } }
        return Self.shown(text)
    }

    /// What somebody else wrote, fit for a log.
    private static func shown(_ text: UnsafeMutablePointer<CChar>?) -> String {
        guard let text else { return "" }
        return String(
            String(cString: text).unicodeScalars.prefix(300).map { $0.value < 0x20 || $0.value == 0x7F ? " " : Character($0) }
        ).trimmingCharacters(in: .whitespaces)
    }

    private static func words(_ code: CInt) -> String { String(cString: ldap_err2string(code)) }

    private static func time(_ span: Timestamp.Span) -> timeval {
        let microseconds = max(1_000, span.microseconds)
        return timeval(tv_sec: Int(microseconds / 1_000_000), tv_usec: Int(microseconds % 1_000_000))
    }
}
