// SPDX-License-Identifier: Apache-2.0

internal import OTP
internal import Testing

struct OTPAuthURITests {
    let key: OTPKey

    init() throws {
        key = try OTPKey(base32: "JBSWY3DPEHPK3PXP")
    }

    @Test func aURIIsWrittenAsAppsReadIt() throws {
        let uri = try OTPAuthURI(issuer: "Big Corp & Söhne", account: "alice@example.com", key: key)
        #expect(
            uri.text == "otpauth://totp/Big%20Corp%20%26%20S%C3%B6hne:alice%40example.com?secret=JBSWY3DPEHPK3PXP"
                + "&issuer=Big%20Corp%20%26%20S%C3%B6hne&algorithm=SHA1&digits=6&period=30")
    }

    @Test func aCounterTokenCarriesItsCounter() throws {
        let uri = try OTPAuthURI(.hotp(counter: 42), issuer: nil, account: "bob", key: key, algorithm: .sha256, digits: 8)
        #expect(uri.text == "otpauth://hotp/bob?secret=JBSWY3DPEHPK3PXP&algorithm=SHA256&digits=8&counter=42")
    }

    @Test(arguments: [("Example", "alice"), ("A&B=C?#/%+", "ä ö%20@x"), ("ACME Co", "\\DOMAIN\\user"), ("🔑", "名前")])
    func whatIsWrittenIsReadBack(_ issuer: String, _ account: String) throws {
        for kind in [OTPAuthURI.Kind.totp(period: 60), .hotp(counter: .max)] {
            for algorithm in OTPAlgorithm.allCases {
                let uri = try OTPAuthURI(kind, issuer: issuer, account: account, key: key, algorithm: algorithm, digits: 7)
                #expect(try OTPAuthURI(parsing: uri.text) == uri)
            }
        }
    }

    @Test func defaultsApplyWhenParametersAreAbsent() throws {
        let uri = try OTPAuthURI(parsing: "otpauth://totp/alice?secret=jbswy3dpehpk3pxp")
        #expect(uri.kind == .totp(period: 30) && uri.digits == 6 && uri.algorithm == .sha1)
        #expect(uri.issuer == nil && uri.account == "alice" && uri.key == key)
    }

    @Test(arguments: [
        "OTPAUTH://TOTP/Example:alice?secret=JBSWY3DPEHPK3PXP", "otpauth://totp/Example%3A%20alice?secret=JBSWY3DPEHPK3PXP&image=x",
        "otpauth://totp/alice?issuer=Example&secret=JBSWY3DPEHPK3PXP", "otpauth://totp/Other:alice?issuer=Example&secret=JBSWY3DPEHPK3PXP",
        "otpauth://totp/:alice?issuer=Example&secret=JBSWY3DPEHPK3PXP#fragment",
    ]) func issuersAreFoundWhereAppsPutThem(_ text: String) throws {
        let uri = try OTPAuthURI(parsing: text)
        #expect(uri.issuer == "Example")
        #expect(uri.account == "alice")
    }

    @Test func aPlusInAParameterIsABlank() throws {
        #expect(try OTPAuthURI(parsing: "otpauth://totp/a+b?issuer=Big+Corp&secret=JBSWY3DPEHPK3PXP").issuer == "Big Corp")
        #expect(try OTPAuthURI(parsing: "otpauth://totp/a+b?secret=JBSWY3DPEHPK3PXP").account == "a+b")
    }

    @Test(
        arguments: [
            ("", .uriScheme), ("https://totp/a?secret=JBSWY3DPEHPK3PXP", .uriScheme), ("otpauth:/totp/a", .uriScheme),
            ("otpauth://", .uriKind), ("otpauth://totp", .uriKind), ("otpauth://steam/a?secret=JBSWY3DPEHPK3PXP", .uriKind),
            ("otpauth://totp/?secret=JBSWY3DPEHPK3PXP", .uriLabel), ("otpauth://totp/a:b:c?secret=JBSWY3DPEHPK3PXP", .uriLabel),
            ("otpauth://totp/a:?secret=JBSWY3DPEHPK3PXP", .uriLabel), ("otpauth://totp/a%2?secret=JBSWY3DPEHPK3PXP", .uriPercentEncoding),
            ("otpauth://totp/a%zz?secret=JBSWY3DPEHPK3PXP", .uriPercentEncoding),
            ("otpauth://totp/a%ff?secret=JBSWY3DPEHPK3PXP", .uriPercentEncoding), ("otpauth://totp/a", .uriParameterMissing("secret")),
            ("otpauth://totp/a?", .uriParameterMissing("secret")), ("otpauth://totp/a?secret=", .keyLength(0)),
            ("otpauth://totp/a?secret=JBSWY3DP", .keyLength(5)),
            ("otpauth://totp/a?secret=JBSWY3DPEHPK3PX0", .base32Character(position: 15)),
            ("otpauth://totp/a?secret=JBSWY3DPEHPK3PXPA", .base32Length),
            ("otpauth://totp/a?secret=JBSWY3DPEHPK3PXP&secret=JBSWY3DPEHPK3PXP", .uriParameterRepeated("secret")),
            ("otpauth://totp/a?secret=JBSWY3DPEHPK3PXP&algorithm=MD5", .uriParameterInvalid("algorithm")),
            ("otpauth://totp/a?secret=JBSWY3DPEHPK3PXP&digits=six", .uriParameterInvalid("digits")),
            ("otpauth://totp/a?secret=JBSWY3DPEHPK3PXP&digits=+6", .uriParameterInvalid("digits")),
            ("otpauth://totp/a?secret=JBSWY3DPEHPK3PXP&digits=9", .digits(9)),
            ("otpauth://totp/a?secret=JBSWY3DPEHPK3PXP&period=0", .period(0)),
            ("otpauth://totp/a?secret=JBSWY3DPEHPK3PXP&period=99999999999999999999", .uriParameterInvalid("period")),
            ("otpauth://hotp/a?secret=JBSWY3DPEHPK3PXP", .uriParameterMissing("counter")),
            ("otpauth://hotp/a?secret=JBSWY3DPEHPK3PXP&counter=-1", .uriParameterInvalid("counter")),
        ] as [(String, OTPError)]) func brokenURIsAreRefusedWithTheirReason(_ text: String, _ expected: OTPError)
    {
        #expect(throws: expected) { try OTPAuthURI(parsing: text) }
        #expect(!expected.description.contains("JBSWY3DP"))
    }

    @Test(arguments: [("", "a"), ("a", ""), ("a:b", "c"), ("a", "b:c")])
    func namesThatALabelCannotHoldAreRefused(_ issuer: String, _ account: String) {
        #expect(throws: OTPError.name) { try OTPAuthURI(issuer: issuer, account: account, key: key) }
    }
}
