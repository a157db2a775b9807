// SPDX-License-Identifier: Apache-2.0

internal import RADIUS
internal import Testing

struct AttributeTests {
    let authenticator = Authenticator(high: 1, low: 2)

    func packet(_ build: (inout PacketWriter) -> Void) throws -> Packet {
        var writer = PacketWriter(request: .accessRequest, identifier: 1, authenticator: authenticator)
        build(&writer)
        return try Packet(decoding: writer.sign(with: #require(SharedSecret("secret"))))
    }

    @Test func valuesAreReadAsTheirKind() throws {
        let packet = try packet {
            $0.addText(.userName, "björn")
            $0.addInteger(.nasPort, 0xdead_beef)
            $0.addIPv4(.nasIPAddress, IPv4Address(0xc0a8_0110))
            $0.addIPv6(.nasIPv6Address, IPv6Address(high: 0x2001_0db8_0000_0000, low: 1))
            $0.add(.class, [1, 2, 3])
        }
        #expect(try packet.text(.userName) == "björn")
        #expect(packet.integer(.nasPort) == 0xdead_beef)
        #expect(packet.ipv4(.nasIPAddress)?.description == "192.168.1.16")
        #expect(packet.ipv6(.nasIPv6Address)?.description == "2001:db8::1")
        #expect(packet.octets(.class) == [1, 2, 3])
    }

    @Test func absentValuesAreNil() throws {
        let packet = try packet { $0.addText(.userName, "alice") }
        #expect(!packet.contains(.state))
        #expect(packet.first(.state) == nil)
        #expect(try packet.text(.replyMessage) == nil)
        #expect(packet.integer(.nasPort) == nil)
        #expect(packet.ipv6(.nasIPv6Address) == nil)
        #expect(packet.joined(.eapMessage) == nil)
    }

    @Test func valuesOfAWrongLengthAreNotNumbers() throws {
        let packet = try packet {
            $0.add(.nasPort, [1, 2, 3])
            $0.add(.loginIPv6Host, [1, 2, 3, 4])
        }
        #expect(packet.integer(.nasPort) == nil)
        #expect(packet.ipv6(.loginIPv6Host) == nil)
    }

    @Test func textThatIsNotUTF8IsRefusedAndNotRepaired() throws {
        let packet = try packet { $0.add(.userName, [0x61, 0xff]) }
        #expect(throws: PacketError.textNotUTF8(.userName)) { try packet.text(.userName) }
        #expect(packet.octets(.userName) == [0x61, 0xff])
    }

    @Test func theFirstOfSeveralIsFound() throws {
        let packet = try packet {
            $0.add(.proxyState, [1])
            $0.add(.proxyState, [2])
        }
        #expect(packet.octets(.proxyState) == [1])
        #expect(packet.joined(.proxyState) == [1, 2])
    }

    @Test func vendorAttributesAreWalkedThroughAllContainers() throws {
        let packet = try packet {
            $0.addVendorText(25461, type: 5, "admins")
            $0.add(.vendorSpecific, [0, 0, 1, 0x37, 7, 6, 0, 0, 0, 2, 8, 6, 0, 0, 0, 4])
            $0.add(.replyMessage, [1])
            $0.addVendor(311, type: 17, [9])
        }
        #expect(packet.vendorAttributes.map(\.vendor) == [25461, 311, 311, 311])
        #expect(packet.vendorAttributes.map(\.type) == [5, 7, 8, 17])
        let group = try #require(packet.first(vendor: 25461, type: 5))
        #expect(try packet.text(of: group) == "admins")
        #expect(packet.first(vendor: 311, type: 8).flatMap { packet.integer(of: $0) } == 4)
        #expect(packet.first(vendor: 311, type: 17).map { Array(packet.value(of: $0)) } == [9])
        #expect(packet.first(vendor: 9, type: 1) == nil)
    }

    @Test(
        arguments: [
            [], [0, 0, 1], [0, 0, 1, 0x37], [0, 0, 1, 0x37, 1], [0, 0, 1, 0x37, 1, 0], [0, 0, 1, 0x37, 1, 1], [0, 0, 1, 0x37, 1, 255],
            [0, 0, 1, 0x37, 1, 4, 9],
        ] as [[UInt8]]) func aBrokenVendorAttributeIsPassedOverAndTheNextIsFound(_ broken: [UInt8]) throws
    {
        let packet = try packet {
            $0.add(.vendorSpecific, broken)
            $0.addVendor(9, type: 1, [7])
        }
        #expect(packet.vendorAttributes.map(\.vendor) == [9])
    }

    @Test func partsBeforeABrokenVendorAttributeAreKept() throws {
        let packet = try packet { $0.add(.vendorSpecific, [0, 0, 0, 9, 1, 3, 0x41, 2, 200]) }
        #expect(packet.vendorAttributes.map(\.type) == [1])
    }

    @Test(
        arguments: [
            (0, 0, "::"), (0, 1, "::1"), (0x2001_0db8_0000_0000, 0x0000_0000_0000_0000, "2001:db8::"),
            (0x2001_0db8_0000_0001, 0x0001_0001_0001_0001, "2001:db8:0:1:1:1:1:1"),
            (0x2001_0000_0000_0001, 0x0000_0000_0000_0001, "2001:0:0:1::1"),
            (0x2001_0db8_0000_0000, 0x0001_0000_0000_0001, "2001:db8::1:0:0:1"),
        ] as [(UInt64, UInt64, String)]) func addressesAreWrittenAsRFC5952Says(_ high: UInt64, _ low: UInt64, _ text: String)
    {
        #expect(IPv6Address(high: high, low: low).description == text)
    }
}

struct CodeTests {
    @Test func codesThatAskForAnAnswerAreRequests() {
        #expect(Code.allCases.filter(\.isRequest).map(\.rawValue) == [1, 4, 12, 40, 43])
        #expect(Code.allCases.filter(\.hasComputedRequestAuthenticator).map(\.rawValue) == [4, 40, 43])
        #expect(Set(Code.allCases.map(\.name)).count == 14)
    }
}
