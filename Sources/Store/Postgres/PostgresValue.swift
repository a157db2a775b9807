// SPDX-License-Identifier: Apache-2.0
// Values in PostgreSQL's binary format: numbers as 64 bits, octets as they are, text with its NUL characters written otherwise.

internal import CPostgres

/// Types by PostgreSQL's fixed numbers (pg_type.dat).
enum PostgresType {
    static let unknown: Oid = 0
    static let flag: Oid = 16
    static let bytes: Oid = 17
    static let name: Oid = 19
    static let integer8: Oid = 20
    static let integer2: Oid = 21
    static let integer4: Oid = 23
    static let text: Oid = 25
    static let real4: Oid = 700
    static let real8: Oid = 701
    static let literal: Oid = 705
    static let varying: Oid = 1043
}

/// The parameters of one statement as libpq wants them; kept, so that a statement costs no allocation for them.
struct PostgresParameters {
    private(set) var types: [Oid] = []
    private(set) var lengths: [CInt] = []
    private(set) var formats: [CInt] = []
    private var starts: [Int] = []
    private var octets: [UInt8] = []
    private var pointers: [UnsafePointer<CChar>?] = []

    var count: CInt { CInt(types.count) }

    mutating func replace(with values: [SQLValue]) {
        types.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
        octets.removeAll(keepingCapacity: true)
        for value in values { append(value) }
        while formats.count < types.count { formats.append(1) }
    }

    private mutating func append(_ value: SQLValue) {
        let start = octets.count
        switch value {
        case .null:
            types.append(PostgresType.unknown)
            lengths.append(0)
            starts.append(-1)
            return
        case .integer(let number):
            types.append(PostgresType.integer8)
            append(UInt64(bitPattern: number))
        case .real(let number):
            types.append(PostgresType.real8)
            append(number.bitPattern)
        case .text(var text):
            types.append(PostgresType.text)
            text.withUTF8 { NULText.append($0, to: &octets) }
        case .blob(let bytes):
            types.append(PostgresType.bytes)
            octets.append(contentsOf: bytes)
        }
        lengths.append(CInt(octets.count - start))
        starts.append(start)
    }

    private mutating func append(_ word: UInt64) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) { octets.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }

    /// Pointers to the values, valid within `body`.
    mutating func withPointers<Result>(_ body: ([UnsafePointer<CChar>?], PostgresParameters) -> Result) -> Result {
        // An empty value is one too: its pointer must not be nil.
        octets.append(0)
        return octets.withUnsafeBytes { bytes in
            let base = bytes.assumingMemoryBound(to: CChar.self).baseAddress
            pointers.removeAll(keepingCapacity: true)
            for start in starts { pointers.append(start < 0 ? nil : base.map { $0 + start }) }
            return body(pointers, self)
        }
    }
}

extension SQLValue {
    init(_ type: Oid, _ bytes: UnsafeBufferPointer<UInt8>) throws(DatabaseError) {
        switch (type, bytes.count) {
        case (PostgresType.integer8, 8), (PostgresType.integer4, 4), (PostgresType.integer2, 2):
            var number: Int64 = bytes[0] & 0x80 == 0 ? 0 : -1
            for byte in bytes { number = number << 8 | Int64(byte) }
            self = .integer(number)
        case (PostgresType.flag, 1): self = .integer(bytes[0] == 0 ? 0 : 1)
        case (PostgresType.real8, 8): self = .real(Double(bitPattern: bytes.reduce(0) { $0 << 8 | UInt64($1) }))
        case (PostgresType.real4, 4): self = .real(Double(Float(bitPattern: bytes.reduce(0) { $0 << 8 | UInt32($1) })))
        case (PostgresType.bytes, _): self = .blob([UInt8](bytes))
        case (PostgresType.text, _), (PostgresType.varying, _), (PostgresType.literal, _), (PostgresType.name, _):
            self = .text(NULText.string(bytes))
        default: throw DatabaseError(.statement, "a column has type \(type), which the store does not use")
        }
    }
}

/// PostgreSQL's text holds every character but NUL, which SQLite's may hold. It is written as U+10FFFF and a 0, U+10FFFF itself, which is
/// no character, as U+10FFFF and a 1. What is equal stays equal, and no text fails.
private enum NULText {
    private static let mark: [UInt8] = [0xF4, 0x8F, 0xBF, 0xBF]

    static func append(_ text: UnsafeBufferPointer<UInt8>, to octets: inout [UInt8]) {
        guard text.contains(where: { $0 == 0 || $0 == mark[0] }) else {
            octets.append(contentsOf: text)
            return
        }
        var position = 0
        while position < text.count {
            if text[position] == 0 {
                octets += mark + [UInt8(ascii: "0")]
            } else if text[position...].starts(with: mark) {
                octets += mark + [UInt8(ascii: "1")]
                position += mark.count - 1
            } else {
                octets.append(text[position])
            }
            position += 1
        }
    }

    static func string(_ text: UnsafeBufferPointer<UInt8>) -> String {
        guard text.contains(mark[0]) else { return String(decoding: text, as: UTF8.self) }
        var octets: [UInt8] = []
        var position = 0
        while position < text.count {
            let rest = text[position...]
            if rest.starts(with: mark), rest.count > mark.count {
                if text[position + mark.count] == UInt8(ascii: "0") { octets.append(0) } else { octets += mark }
                position += mark.count + 1
            } else {
                octets.append(text[position])
                position += 1
            }
        }
        return String(decoding: octets, as: UTF8.self)
    }
}
