// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import RADIUS
internal import Testing

struct BuiltInDictionaryTests {
    let dictionary = AttributeDictionary.builtIn

    @Test func namesAndNumbersBelongTogether() throws {
        #expect(AttributeType.userName.rawValue == 1)
        #expect(AttributeType.messageAuthenticator.rawValue == 80)
        #expect(AttributeType.eapMessage.description == "EAP-Message")
        #expect(AttributeType(rawValue: 200).description == "Attribute-200")
        #expect(dictionary[name: "calling-station-id"]?.oid == AttributeOID(.callingStationID))
        #expect(dictionary[name: "No-Such-Attribute"] == nil)
        let group = try #require(dictionary[name: "paloalto-user-group"])
        #expect(group.oid.description == "26.25461.5" && group.kind == .text)
        #expect(dictionary.vendor(25461)?.name == "PaloAlto")
        #expect(dictionary.vendor(named: "usr")?.typeLength == 4)
        #expect(dictionary.number(of: "framed-user", for: AttributeOID(.serviceType)) == 2)
        #expect(dictionary.name(of: 2, for: AttributeOID(.serviceType)) == "Framed-User")
        #expect(AttributeOID("26.9.1") == AttributeOID(vendor: 9, type: 1))
    }

    @Test(arguments: ["", "0", "256", "26", "26.9", "1.2.", ".1", "a", "241", "241.26.9", "241.256", "1.2.3.4.5.6.7.8.9.10.11", "+1"])
    func whatIsNoPlaceIsNone(_ text: String) {
        #expect(AttributeOID(text) == nil)
    }

    @Test func theCompilerAndTheReaderKnowTheSameNames() {
        for definition in dictionary.all where definition.oid.numbers.count == 1 {
            let type = AttributeType(rawValue: UInt8(definition.oid.numbers[0]))
            #expect(type.name == definition.name)
        }
        #expect(dictionary.all.count > 400)
    }

    /// FreeRADIUS's own files say the same of every attribute that both know.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/usr/share/freeradius/dictionary")))
    func freeRADIUSSaysTheSame() throws {
        var theirs = AttributeDictionary.empty
        let folder = URL(filePath: "/usr/share/freeradius")
        let text = { (name: String) in
            (try? Data(contentsOf: folder.appending(path: name))).map { String(decoding: $0, as: UTF8.self) }
        }
        try theirs.read(#require(text("dictionary")), named: "dictionary", include: text)
        #expect(theirs.all.count > 7_000)
        // Not among those that FreeRADIUS loads, since its own draft of digests has the same names.
        var digests = AttributeDictionary.empty
        try digests.read(#require(text("dictionary.rfc5090")), named: "dictionary.rfc5090")
        var compared = 0
        for ours in dictionary.all {
            guard let other = digests[name: ours.name] ?? theirs[name: ours.name] else {
                Issue.record("\(ours.name) is not in FreeRADIUS's files")
                continue
            }
            compared += 1
            // RFC 4675 §2.4 says 8 bytes; their file says so in a comment. RFC 2869 and 2865 give these lengths.
            let lengths = [
                "User-Priority-Table", "ARAP-Password", "ARAP-Features", "ARAP-Challenge-Response", "CHAP-Password",
                "Message-Authenticator",
            ]
            #expect(other.oid == ours.oid && other.kind == ours.kind, "\(ours.name)")
            #expect(other.fixedLength == ours.fixedLength || lengths.contains(ours.name), "\(ours.name)")
            #expect(other.isTagged == ours.isTagged && other.hiding == ours.hiding, "\(ours.name)")
            #expect(other.isConcatenated == ours.isConcatenated, "\(ours.name)")
            for value in dictionary.valueNames(for: ours.oid) {
                #expect(theirs.number(of: value, for: other.oid) == dictionary.number(of: value, for: ours.oid), "\(ours.name) \(value)")
            }
        }
        #expect(compared > 400)
        for number in [9, 66, 311, 429, 2620, 2636, 3076, 3224, 4846, 8164, 8741, 12356, 14988, 24757, 25461] as [UInt32] {
            let (ours, other) = (try #require(dictionary.vendor(number)), try #require(theirs.vendor(number)))
            #expect(ours.typeLength == other.typeLength && ours.lengthLength == other.lengthLength)
            #expect(ours.hasContinuation == other.hasContinuation)
        }
    }
}

struct DictionaryReadingTests {
    func read(_ text: String, files: [String: String] = [:]) throws -> AttributeDictionary {
        var dictionary = AttributeDictionary.builtIn
        try dictionary.read(text, named: "dictionary.test") { files[$0] }
        return dictionary
    }

    @Test func everyWordOfTheFormatIsRead() throws {
        let dictionary = try read(
            """
            \u{FEFF}# a comment\r
            VENDOR\tAcme\t\t64000\tformat=2,1
            BEGIN-VENDOR Acme
            VALUE     Acme-Level  High   0x10   # before its attribute
            ATTRIBUTE Acme-Level  0x0101 integer
            attribute Acme-Tunnel 2 string has_tag,encrypt=2
            ATTRIBUTE Acme-Box    3 tlv
            BEGIN-TLV Acme-Box
            ATTRIBUTE Acme-Inside 1 ipv4prefix
            END-TLV Acme-Box
            END-VENDOR Acme
            $INCLUDE more
            ATTRIBUTE Own-Setting 3001 string
            VALUE     Own-Setting any 1
            ATTRIBUTE Wide 211 octets[4] array
            """,
            files: ["more": "ATTRIBUTE Included 210 uint64 # type of FreeRADIUS 4\n"])
        let level = try #require(dictionary[name: "Acme-Level"])
        #expect(level.oid.description == "26.64000.257")
        #expect(dictionary.number(of: "HIGH", for: level.oid) == 16)
        let tunnel = try #require(dictionary[name: "Acme-Tunnel"])
        #expect(tunnel.isTagged && tunnel.hiding == .salted)
        #expect(dictionary[name: "Acme-Inside"]?.oid.description == "26.64000.3.1")
        #expect(dictionary[name: "Included"]?.kind == .integer64)
        #expect(dictionary[name: "Own-Setting"] == nil)
        #expect(dictionary[name: "Wide"]?.fixedLength == 4)
    }

    @Test func aLaterFileTakesOverANumber() throws {
        let dictionary = try read("ATTRIBUTE Site-Filter 11 octets\n")
        #expect(dictionary[AttributeOID(.filterID)]?.name == "Site-Filter")
        #expect(dictionary[name: "Filter-Id"]?.kind == .text)
    }

    @Test(
        arguments: [
            ("ATRIBUTE A 1 string", "no word of a dictionary"), ("ATTRIBUTE A 1", "ATTRIBUTE name number type"),
            ("ATTRIBUTE A! 1 string", "the name A! cannot be used"), ("ATTRIBUTE A x string", "x is no number"),
            ("ATTRIBUTE A 0 string", "too large here; the greatest is 255"), ("ATTRIBUTE A 1 strin", "strin is no type"),
            ("ATTRIBUTE A 4294967296 string", "too large here"), ("ATTRIBUTE A 1..2 string", "1..2 is no number"),
            ("ATTRIBUTE A +1 string", "+1 is no number"),
            ("ATTRIBUTE A 1 octets[0]", "octets[1] to octets[253]"), ("ATTRIBUTE A 1 octets[254]", "octets[1] to octets[253]"),
            ("ATTRIBUTE A 1 string has_tags", "has_tags is no flag"), ("ATTRIBUTE A 1 ipaddr has_tag", "has_tag does not go with"),
            ("ATTRIBUTE A 1 date encrypt=2", "encrypt=2 does not go with"), ("ATTRIBUTE A 241.9 string concat", "concat does not go with"),
            ("ATTRIBUTE Filter-Id 12 string", "Filter-Id is the name of 11 already"), ("ATTRIBUTE A 11.1 string", "define the tlv"),
            ("ATTRIBUTE A 241.5.256 string", "too large here"), ("ATTRIBUTE A 240 extended", "240 is no number"),
            ("ATTRIBUTE A 26.64001.1 string", "the vendor 64001 is not defined"), ("ATTRIBUTE A 26.9.256 string", "the greatest is 255"),
            ("VENDOR Acme", "VENDOR name number"), ("VENDOR Acme 0", "too large here"), ("VENDOR Cisco 10", "has another number already"),
            ("VENDOR Acme 64000 format=3,1", "format=t,l"), ("VENDOR Acme 64000 format=2,1,c", "format=t,l"),
            ("BEGIN-VENDOR Acme", "the vendor Acme is not defined"), ("BEGIN-VENDOR Cisco format=Filter-Id", "format=t,l"),
            ("BEGIN-VENDOR Cisco", "the block Cisco is not closed"), ("END-VENDOR Cisco", "closed but not open"),
            ("BEGIN-TLV Filter-Id", "no attribute of type tlv"), ("END-TLV IP-Port-Range", "closed but not open"),
            ("VALUE Filter-Id A 1", "Filter-Id is no number"), ("VALUE Nothing A 1", "which is not defined"),
            ("VALUE Service-Type Framed-User 3", "stands for another number"), ("VALUE Service-Type A", "VALUE attribute name number"),
            ("$INCLUDE", "$INCLUDE file"), ("$INCLUDE nothing", "nothing cannot be read"), ("$INCLUDE ../x", "outside this folder"),
            ("$INCLUDE /etc/passwd", "outside this folder"), ("$INCLUDE .hidden", "outside this folder"),
        ]) func mistakesNameTheirLineAndWhatToDo(_ line: String, _ expected: String) throws
    {
        do {
            _ = try read("# first\n\n\(line)\n")
            Issue.record("\(line) was read")
        } catch let error as DictionaryError {
            #expect(error.file == "dictionary.test")
            // A block is found open at the end.
            #expect(error.line == (expected.contains("not closed") ? 4 : 3))
            #expect(error.description.contains(expected), "\(error)")
        }
    }

    @Test func mistakesInIncludedFilesNameThose() throws {
        do {
            _ = try read("$INCLUDE a", files: ["a": "\n$INCLUDE b\n", "b": "VENDOR x\n"])
            Issue.record("it was read")
        } catch let error as DictionaryError {
            #expect(error.file == "b" && error.line == 1)
        }
        #expect(throws: DictionaryError(file: "b", line: 1, problem: .includeAgain("a"))) {
            try read("$INCLUDE a", files: ["a": "$INCLUDE b", "b": "$INCLUDE a"])
        }
        #expect(throws: DictionaryError(file: "a", line: 2, problem: .blockNotClosed("Cisco"))) {
            try read("$INCLUDE a\nEND-VENDOR Cisco", files: ["a": "BEGIN-VENDOR Cisco\n"])
        }
    }

    @Test func everySizeHasALimit() throws {
        let long = String(repeating: "a", count: AttributeDictionary.maximumNameLength)
        #expect(throws: Never.self) { try read("ATTRIBUTE \(long) 200 string") }
        #expect(throws: DictionaryError.self) { try read("ATTRIBUTE \(long)a 200 string") }
        let large = String(repeating: "#", count: AttributeDictionary.maximumFileLength)
        #expect(throws: Never.self) { try read(large) }
        #expect(throws: DictionaryError.self) { try read(large + "#") }
        let deep = Dictionary(uniqueKeysWithValues: (0..<20).map { ("f\($0)", "$INCLUDE f\($0 + 1)") })
        #expect(throws: DictionaryError.self) { try read("$INCLUDE f0", files: deep) }
        let half = String(repeating: "VALUE Service-Type Framed-User 2\n", count: AttributeDictionary.maximumEntryCount / 2)
        #expect(throws: DictionaryError.self) { try read("$INCLUDE a\n$INCLUDE b\nVENDOR V 64000", files: ["a": half, "b": half]) }
    }

    @Test func aMistakeChangesNothing() {
        var dictionary = AttributeDictionary.builtIn
        try? dictionary.read("ATTRIBUTE Site-Filter 11 octets\nnonsense", named: "x")
        #expect(dictionary[AttributeOID(.filterID)]?.name == "Filter-Id")
    }
}
