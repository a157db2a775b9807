// SPDX-License-Identifier: Apache-2.0
// Event ↔ bytes. What is chained holds no personal field, only a salted commitment of each person's fields.

internal import Crypto
package import LoginEngine

/// A line of the chain as it was decoded: the event without its personal fields, and their commitments.
package struct ChainedEvent: Sendable, Equatable {
    package var seq: Int64
    package var event: Event
    /// HMAC-SHA-256 of the subject's fields under their salt; nil when there were none.
    package var subjectCommitment: [UInt8]?
    package var actorCommitment: [UInt8]?
}

package enum EventCodec {
    static let version: UInt8 = 1
    static let commitmentSize = 32
    static let saltSize = 16

    private struct Flags: OptionSet {
        var rawValue: UInt8
        static let login = Flags(rawValue: 1)
        static let user = Flags(rawValue: 2)
        static let client = Flags(rawValue: 4)
        static let source = Flags(rawValue: 8)
        static let reason = Flags(rawValue: 16)
        static let subject = Flags(rawValue: 32)
        static let actor = Flags(rawValue: 64)
    }

    package static func encode(_ event: Event, seq: Int64, subject: [UInt8]?, actor: [UInt8]?) -> [UInt8] {
        var out = ByteWriter()
        encode(event, seq: seq, subject: subject, actor: actor, into: &out)
        return out.bytes
    }

    static func encode(_ event: Event, seq: Int64, subject: [UInt8]?, actor: [UInt8]?, into out: inout ByteWriter) {
        var flags: Flags = []
        if event.login != nil { flags.insert(.login) }
        if event.user != nil { flags.insert(.user) }
        if event.client != nil { flags.insert(.client) }
        if event.source != nil { flags.insert(.source) }
        if event.reason != nil { flags.insert(.reason) }
        if subject != nil { flags.insert(.subject) }
        if actor != nil { flags.insert(.actor) }
        out.byte(version)
        out.byte(event.kind.rawValue)
        out.byte(flags.rawValue)
        out.unsigned(UInt64(bitPattern: seq))
        out.signed(event.at.microseconds)
        if let login = event.login {
            out.word(login.bits.high)
            out.word(login.bits.low)
        }
        if let user = event.user { out.signed(user) }
        if let client = event.client { out.signed(client) }
        if let source = event.source { out.blob(source.bytes) }
        if let reason = event.reason { out.text(reason) }
        out.unsigned(UInt64(event.details.count))
        for detail in event.details {
            out.text(detail.name)
            out.text(detail.value)
        }
        if let subject { out.raw(subject) }
        if let actor { out.raw(actor) }
    }

    /// What a line is searched by, without decoding the rest.
    struct Subject {
        var seq: Int64
        var login: LoginID?
        var user: Int64?
        var client: Int64?
    }

    static func subject(of bytes: ArraySlice<UInt8>) throws(DecodingError) -> Subject {
        var reader = ByteReader(bytes)
        _ = try reader.raw(2)
        let flags = Flags(rawValue: try reader.byte())
        var subject = Subject(seq: Int64(bitPattern: try reader.unsigned()))
        _ = try reader.unsigned()
        if flags.contains(.login) { subject.login = LoginID(Bits128(high: try reader.word(), low: try reader.word())) }
        if flags.contains(.user) { subject.user = try reader.signed() }
        if flags.contains(.client) { subject.client = try reader.signed() }
        return subject
    }

    package static func decode(_ bytes: ArraySlice<UInt8>) throws(DecodingError) -> ChainedEvent {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == self.version else { throw .unknownVersion(version) }
        let code = try reader.byte()
        guard let kind = EventKind(rawValue: code) else { throw .unknownKind(code) }
        let flags = Flags(rawValue: try reader.byte())
        guard flags.rawValue < 128 else { throw .notCanonical }
        let seq = try reader.unsigned()
        guard seq > 0, seq <= UInt64(Int64.max) else { throw .notCanonical }
        var event = Event(kind, at: Timestamp(microseconds: try reader.signed()))
        if flags.contains(.login) { event.login = LoginID(Bits128(high: try reader.word(), low: try reader.word())) }
        if flags.contains(.user) { event.user = try reader.signed() }
        if flags.contains(.client) { event.client = try reader.signed() }
        if flags.contains(.source) {
            let bytes = try reader.blob()
            guard let source = NetworkAddress(bytes: bytes), source.bytes.count == bytes.count else { throw .notCanonical }
            event.source = source
        }
        if flags.contains(.reason) { event.reason = try reader.text() }
        let count = try reader.unsigned()
        // A detail has two lengths, so at least two bytes.
        guard count <= UInt64(reader.remaining / 2) else { throw .truncated }
        for _ in 0..<count { event.details.append(Event.Detail(try reader.text(), try reader.text())) }
        let subject = flags.contains(.subject) ? Array(try reader.raw(commitmentSize)) : nil
        let actor = flags.contains(.actor) ? Array(try reader.raw(commitmentSize)) : nil
        try reader.end()
        return ChainedEvent(seq: Int64(seq), event: event, subjectCommitment: subject, actorCommitment: actor)
    }

    package static func encode(_ fields: PersonalFields) -> [UInt8] {
        var out = ByteWriter()
        out.unsigned(UInt64(fields.fields.count))
        for field in fields.fields {
            out.text(field.name)
            out.text(field.value)
        }
        return out.bytes
    }

    package static func decodeFields(_ bytes: ArraySlice<UInt8>) throws(DecodingError) -> PersonalFields {
        var reader = ByteReader(bytes)
        let count = try reader.unsigned()
        guard count <= UInt64(reader.remaining / 2) else { throw .truncated }
        var fields = PersonalFields()
        for _ in 0..<count { fields.fields.append(PersonalFields.Field(try reader.text(), try reader.text())) }
        try reader.end()
        return fields
    }

    static func commitment(of fields: [UInt8], salt: ArraySlice<UInt8>) -> [UInt8] {
        // RFC 2104 by hand for a key shorter than a block: keying `HMAC` anew costs three times as much, and every salt is new.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: SHA256.blockByteCount) { block in
            func keyed(_ pad: UInt8) -> SHA256 {
                block.initialize(repeating: pad)
                for (index, byte) in salt.prefix(SHA256.blockByteCount).enumerated() { block[index] ^= byte }
                var hash = SHA256()
                hash.update(bufferPointer: UnsafeRawBufferPointer(block))
                return hash
            }
            var inner = keyed(0x36)
            fields.withUnsafeBytes { inner.update(bufferPointer: $0) }
            var outer = keyed(0x5C)
            inner.finalize().withUnsafeBytes { outer.update(bufferPointer: $0) }
            return outer.finalize().withUnsafeBytes { Array($0) }
        }
    }
}

/// One person's fields in one event, as they are kept apart from the chain.
package struct PersonalEntry: Sendable, Equatable {
    package enum Role: UInt8, Sendable {
        case subject = 0
        case actor = 1
    }

    package var seq: Int64
    package var role: Role
    var salt: [UInt8]
    var fields: [UInt8]
}

package enum PersonalCodec {
    package static func encode(_ entries: [PersonalEntry], first: Int64) -> [UInt8] {
        var out = ByteWriter()
        for entry in entries { encode(offset: entry.seq - first, entry.role, salt: entry.salt[...], fields: entry.fields, into: &out) }
        return out.bytes
    }

    static func encode(
        offset: Int64, _ role: PersonalEntry.Role, salt: ArraySlice<UInt8>, fields: [UInt8], into out: inout ByteWriter
    ) {
        out.unsigned(UInt64(bitPattern: offset))
        out.byte(role.rawValue)
        out.raw(salt)
        out.blob(fields)
    }

    package static func decode(_ bytes: ArraySlice<UInt8>, first: Int64) throws(DecodingError) -> [PersonalEntry] {
        var reader = ByteReader(bytes)
        var entries: [PersonalEntry] = []
        while reader.remaining > 0 {
            let offset = try reader.unsigned()
            guard offset <= UInt64(UInt32.max), let role = PersonalEntry.Role(rawValue: try reader.byte()) else { throw .notCanonical }
            let (seq, overflow) = first.addingReportingOverflow(Int64(offset))
            guard !overflow else { throw .notCanonical }
            entries.append(
                PersonalEntry(
                    seq: seq, role: role, salt: Array(try reader.raw(EventCodec.saltSize)),
                    fields: Array(try reader.blob())))
        }
        return entries
    }
}
