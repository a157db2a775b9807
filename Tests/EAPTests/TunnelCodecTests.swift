// SPDX-License-Identifier: Apache-2.0
// AVPs of TTLS, TLVs of PEAP, and the keys of cryptobinding by the example of [MS-PEAP] §4.4.

import Testing

@testable import EAP

/// `0A 0b` or `0A0b`
func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

struct TunnelAVPTests {
    /// Laid out by hand after RFC 5281 §10.1.
    private let userName = bytes("00000001 40 00000d 616c696365 000000")
    private let success = bytes("0000001a c0 00000f 00000137 07533d 00")

    @Test func pairsAreReadAndWritten() throws {
        let pairs = try TunnelAVP.decode((userName + success)[...])
        #expect(
            pairs == [
                TunnelAVP(name: .userName, value: Array("alice".utf8)), TunnelAVP(name: .msCHAP2Success, value: [7] + Array("S=".utf8)),
            ])
        #expect(TunnelAVP.encode(pairs) == userName + success)
    }

    @Test func zerosBehindTheLastAreNotMissed() throws {
        #expect(try TunnelAVP.decode(userName.dropLast(3)).map(\.value) == [Array("alice".utf8)])
        #expect(try TunnelAVP.decode([]) == [])
    }

    @Test func mandatoryAndVendorAreFlags() throws {
        let pairs = try TunnelAVP.decode(bytes("00000001 00 000008  00000001 80 00000c 00000000")[...])
        #expect(pairs.map(\.isMandatory) == [false, false])
        // Vendor 0 written out is the same name.
        #expect(pairs.map(\.name) == [.userName, .userName])
    }

    @Test(
        arguments: [
            ("000001", .truncated), ("00000001 40 00000e 616c696365", .truncated), ("00000001 40 000007 616c6963", .length(7)),
            ("00000001 c0 00000b 00000137", .length(11)), ("00000001 40 ffffff 61", .truncated),
            // A zero too many: the next pair would begin with it.
            ("00000001 40 000009 61 000000 00", .truncated),
        ] as [(String, TunnelAVPError)]) func wrongLengthIsRefused(_ hex: String, _ error: TunnelAVPError)
    {
        #expect(throws: error) { try TunnelAVP.decode(bytes(hex)[...]) }
        #expect(!error.words.isEmpty)
    }

    @Test func manyPairsAreRefused() throws {
        let one = bytes("00000001 40 000008")
        let limit = TunnelAVP.maximumCount
        #expect(try TunnelAVP.decode(Array(repeating: one, count: limit).flatMap(\.self)[...]).count == limit)
        #expect(throws: TunnelAVPError.tooMany) { try TunnelAVP.decode(Array(repeating: one, count: limit + 1).flatMap(\.self)[...]) }
    }
}

struct PEAPExtensionsTests {
    private let success = bytes("8003 0002 0001")
    /// The server's TLV of [MS-PEAP] §4.4.1.3.2.3.
    private let binding = bytes(
        """
        000C 0038 00000000 BDA7A599FA816521AD3064C2BDDBD16EAA949E7D98A8D7943147CF425D85DA7B 0CBF105E91755748224FBB83000626911CFB1B0F
        """)

    @Test func resultAndBindingAreReadAndWritten() throws {
        let read = try PEAPExtensions((success + binding)[...])
        #expect(read.outcome == .success)
        #expect(read.binding?.subtype == .request)
        #expect(read.binding?.nonce == Array(binding[8..<40]))
        #expect(read.binding?.mac == Array(binding.suffix(20)))
        #expect(read.bytes == success + binding)
    }

    @Test func unknownTLVIsPassedOverUnlessMandatory() throws {
        #expect(try PEAPExtensions(bytes("0042 0001 ff 8003 0002 0002")[...]) == PEAPExtensions(outcome: .failure))
        #expect(throws: PEAPExtensionsError.mandatory(0x42)) { try PEAPExtensions(bytes("8042 0001 ff")[...]) }
    }

    @Test(
        arguments: [
            ("8003 00", .truncated), ("8003 0003 0001", .truncated), ("8003 0001 00", .result), ("8003 0002 0003", .result),
            ("8003 0002 0001 8003 0002 0001", .repeated(3)), ("000c 0004 00000000", .binding),
        ] as [(String, PEAPExtensionsError)]) func wrongTLVIsRefused(_ hex: String, _ error: PEAPExtensionsError)
    {
        #expect(throws: error) { try PEAPExtensions(bytes(hex)[...]) }
        #expect(!error.words.isEmpty)
    }

    @Test(arguments: [5, 7]) func bindingOfAnotherVersionOrKindIsRefused(_ place: Int) {
        var changed = binding
        changed[place] = 2
        #expect(throws: PEAPExtensionsError.binding) { try PEAPExtensions(changed[...]) }
    }
}

struct CompoundKeysTests {
    /// [MS-PEAP] §4.4.1.3.2.3 and §4.4.3
    private let ipmk = bytes("3A911C255473E83E9A0CC333AE1F8A35CDC74163E7F60F6C65EF71C26442AAACA2B6F1EB4F25ECA3")
    private let cmk = bytes("3355353B6920D074C782E475DFB0999D4DB467EB")

    @Test func sessionKeyIsThatOfTheExample() {
        let keys = CompoundKeys(ipmk: ipmk, cmk: cmk)
        let expected = bytes(
            """
            6A02D782201BC7138BF8EFF733B496970D7CAB30 0AC9577278E1DDD5AEF766971752D4E584A1C895 039B4D05E3BC9A8484DDC2AA6E2CE162765C4068
            BFF65A4510E3057485DB98B799D86E66763C64D4 9889B4DD1B273DC8A2CA73D60D11AFB22C52BAAD D351E0CB7BB2E72C7D9373857E03C14A32C8F7E5
            959F46680E86E65C89F880C8A6DA00563AFB19C0
            """)
        #expect(keys.sessionKey == Array(expected.prefix(128)))
        let given = TunnelKeys.keys(keys.sessionKey, [])
        #expect(given.receive.bytes == bytes("6A02D782201BC7138BF8EFF733B496970D7CAB300AC9577278E1DDD5AEF76697"))
        #expect(given.send.bytes == bytes("1752D4E584A1C895039B4D05E3BC9A8484DDC2AA6E2CE162765C4068BFF65A45"))
    }

    @Test func macIsThatOfTheExample() {
        var binding = PEAPExtensions.Binding(
            subtype: .request, nonce: bytes("BDA7A599FA816521AD3064C2BDDBD16EAA949E7D98A8D7943147CF425D85DA7B"))
        let mac = CompoundKeys(ipmk: ipmk, cmk: cmk).compoundMAC(binding.bytesWithoutMAC)
        #expect(mac == bytes("0CBF105E91755748224FBB83000626911CFB1B0F"))
        binding.mac = mac
        #expect(binding.bytesWithoutMAC.suffix(20).allSatisfy { $0 == 0 })
    }

    /// [MS-PEAP] §3.1.5.5.2.2: then the tunnel's key is both.
    @Test func sessionThatIsTakenUpHasTheTunnelsKeys() {
        let tunnel = (0..<128).map { UInt8($0) }
        let keys = CompoundKeys(tunnel: tunnel, inner: [], isResumed: true)
        let same = CompoundKeys(ipmk: Array(tunnel[..<40]), cmk: Array(tunnel[40..<60]))
        #expect(keys.sessionKey == same.sessionKey)
        #expect(keys.compoundMAC([1]) == same.compoundMAC([1]))
    }

    @Test func innerKeysAreCutAndFilledUpTo32() {
        let tunnel = [UInt8](repeating: 7, count: 128)
        func key(_ inner: [UInt8]) -> [UInt8] { CompoundKeys(tunnel: tunnel, inner: inner, isResumed: false).sessionKey }
        #expect(key([]) == key(Array(repeating: 0, count: 32)))
        #expect(key(Array(repeating: 1, count: 33)) == key(Array(repeating: 1, count: 32)))
        #expect(key([1]) != key([]))
    }
}
