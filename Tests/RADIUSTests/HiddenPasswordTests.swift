// SPDX-License-Identifier: Apache-2.0

internal import RADIUS
internal import Testing

struct HiddenPasswordTests {
    let authenticator = Authenticator(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210)

    @Test(arguments: (ExchangeVector.packets + ExchangeVector.signed).filter { $0.password != nil })
    func publishedPasswordsAreRevealedAndHiddenAgain(_ vector: ExchangeVector) throws {
        let packet = try Packet(decoding: vector.request.bytes)
        let secret = try vector.sharedSecret()
        let password = try #require(try packet.password(secret: secret))
        #expect(String(decoding: password, as: UTF8.self) == vector.password)
        let hidden = try HiddenPassword.hide(password, authenticator: packet.authenticator, secret: secret)
        #expect(hidden == packet.octets(.userPassword))
    }

    @Test(arguments: 0...128) func everyLengthComesBack(_ count: Int) throws {
        let secret = try #require(SharedSecret("secret"))
        let password = (0..<count).map { UInt8($0 + 1) }
        let hidden = try HiddenPassword.hide(password, authenticator: authenticator, secret: secret)
        #expect(hidden.count == max(16, (count + 15) / 16 * 16))
        #expect(try HiddenPassword.unhide(hidden, authenticator: authenticator, secret: secret) == password)
    }

    @Test func aPasswordOf129BytesIsRefused() throws {
        let secret = try #require(SharedSecret("secret"))
        #expect(throws: PacketError.passwordTooLong(length: 129)) {
            try HiddenPassword.hide([UInt8](repeating: 1, count: 129), authenticator: authenticator, secret: secret)
        }
    }

    @Test(arguments: [0, 1, 15, 17, 127, 129, 144]) func otherLengthsCannotBeRevealed(_ count: Int) throws {
        let secret = try #require(SharedSecret("secret"))
        #expect(throws: PacketError.userPasswordLength(count)) {
            try HiddenPassword.unhide([UInt8](repeating: 1, count: count), authenticator: authenticator, secret: secret)
        }
    }

    @Test func aNULInsideIsKeptAndPaddingIsNot() throws {
        let secret = try #require(SharedSecret("secret"))
        let hidden = try HiddenPassword.hide([1, 0, 2, 0, 0], authenticator: authenticator, secret: secret)
        #expect(try HiddenPassword.unhide(hidden, authenticator: authenticator, secret: secret) == [1, 0, 2])
    }

    @Test func aWrongSecretGivesOtherBytes() throws {
        let hidden = try HiddenPassword.hide(Array("swordfish".utf8), authenticator: authenticator, secret: #require(SharedSecret("a")))
        let revealed = try HiddenPassword.unhide(hidden, authenticator: authenticator, secret: #require(SharedSecret("b")))
        #expect(revealed != Array("swordfish".utf8))
    }

    @Test func aRequestWithoutPasswordHasNone() throws {
        let vector = try #require(ExchangeVector.packets.last)
        #expect(try Packet(decoding: vector.request.bytes).password(secret: vector.sharedSecret()) == nil)
    }
}
