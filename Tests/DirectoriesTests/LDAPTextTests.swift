// SPDX-License-Identifier: Apache-2.0
// Names in filters and distinguished names, servers' addresses, and what bind answers say: what is pure of LDAP.

import Directories
import LoginEngine
import Testing

@Suite struct LDAPTextTests {
    @Test(arguments: [
        ("alice", "alice"), ("*)(uid=*", #"\2a\29\28uid=\2a"#), (#"a\b"#, #"a\5cb"#), ("a\0b", #"a\00b"#), ("müller", #"m\c3\bcller"#),
        ("a&b|c!d", "a&b|c!d"),
    ])
    func whatWasTypedIsAValueInAFilter(typed: String, written: String) {
        #expect(LDAPText.filterValue(typed) == written)
    }

    @Test(arguments: [
        ("alice", "alice"), ("a,ou=admins", #"a\2cou\3dadmins"#), ("#a", #"\23a"#), (" a ", #"\20a\20"#),
        ("a+b\"<>;\\", #"a\2bb\22\3c\3e\3b\5c"#),
        ("a\0", #"a\00"#), ("a b", "a b"),
    ])
    func whatWasTypedIsAValueInAName(typed: String, written: String) throws {
        #expect(LDAPText.nameValue(typed) == written)
        if !typed.contains("\0") {
            let name = try #require(DistinguishedName("uid=\(written),dc=example"))
            #expect(name.parts.count == 2 && name.firstValue == typed)
        }
    }

    @Test func aTemplateIsFilledOnceAndWhatIsTypedIsNoPlace() throws {
        let name = try #require(DirectoryAccountName("{upn}", domains: ["corp.example"]))
        #expect(LDAPText.filled("(|(uid={account})(upn={upn}))", name, LDAPText.filterValue) == "(|(uid={upn})(upn={upn}@corp.example))")
        #expect(LDAPText.filled("{other}{", name, LDAPText.filterValue) == "{other}{")
    }

    @Test(arguments: [
        ("(uid={name})", true), ("(&(a=b)(c=d))", true), ("(a=b)(c=d)", false), ("a=b", false), ("((a=b)", false), ("(a=b", false),
    ])
    func aFilterStandsInItsParentheses(text: String, isFilter: Bool) {
        #expect(LDAPText.looksLikeFilter(text) == isFilter)
    }

    @Test func twoWritingsOfOneNameAreEqual() throws {
        let plain = try #require(DistinguishedName("CN=VPN Users,OU=Groups,DC=corp,DC=example"))
        #expect(plain == DistinguishedName(#"cn = VPN\20Users , ou=groups,dc=Corp, dc=example"#))
        #expect(plain == DistinguishedName(#"cn="VPN Users",ou=Groups,dc=corp,dc=example"#))
        #expect(plain.firstValue == "VPN Users")
        let base = try #require(DistinguishedName("dc=corp,dc=example"))
        #expect(plain.isBelow(base) && base.isBelow(base) && !base.isBelow(plain))
        #expect(!(try #require(DistinguishedName("cn=x,dc=evilcorp,dc=example"))).isBelow(base))
        let comma = try #require(DistinguishedName(#"cn=a\,dc\=corp,dc=example"#))
        // In one text, no two names are the same.
        let others = [
            #"cn=a,dc=corp,dc=example"#, #"cn=a\\\,dc\=corp,dc=example"#, #"cn=a\+dc\=corp,dc=example"#, "cn=a+dc=corp,dc=example",
        ]
        let texts = Set(try ([comma] + others.map { try #require(DistinguishedName($0)) }).map(\.joined))
        #expect(texts.count == 5, "\(texts)")
        #expect(comma.parts.count == 2 && comma.firstValue == "a,dc=corp")
    }

    @Test(arguments: [
        "", "cn", "=a", "cn=a,", "cn=a,,dc=b", "cn=\"a", #"cn=a\"#, #"cn=\ff"#, String(repeating: "dc=a,", count: 64) + "dc=a",
    ])
    func whatIsNoNameIsRefused(text: String) {
        #expect(DistinguishedName(text) == nil)
    }

    @Test(arguments: [
        ("ldaps://DC1.corp.example", "ldaps://dc1.corp.example", "ldaps://dc1.corp.example:636"),
        ("starttls://ldap.example/", "starttls://ldap.example", "ldap://ldap.example:389"),
        ("ldap://192.0.2.7:1389", "ldap://192.0.2.7:1389", "ldap://192.0.2.7:1389"),
        ("ldaps://[2001:db8::1]:3269", "ldaps://[2001:db8::1]:3269", "ldaps://[2001:db8::1]:3269"),
        ("ldaps://[2001:db8::1]", "ldaps://[2001:db8::1]", "ldaps://[2001:db8::1]:636"),
    ])
    func serversAreReadAndWritten(text: String, shown: String, url: String) throws {
        let server = try #require(LDAPServer(text))
        #expect(server.description == shown && server.url == url)
        #expect(LDAPServer(shown) == server)
    }

    @Test(arguments: [
        "", "dc1.corp.example", "http://a", "ldaps://", "ldaps://a b", "ldaps://a:0", "ldaps://a:+1", "ldaps://a:65536", "ldaps://a/dc=b",
        "ldaps://2001:db8::1", "ldaps://[192.0.2.1]", "ldaps://a%2f", "ldaps://a,b", "ldapi://%2frun", "ldaps://[::1]x",
    ])
    func whatIsNoServerIsRefused(text: String) {
        #expect(LDAPServer(text) == nil)
    }

    @Test(arguments: [
        ("alice", "alice", "alice@corp.example"), ("CORP\\alice", "alice", "alice@corp.example"),
        ("alice@corp.example", "alice", "alice@corp.example"), ("Alice@CORP.example", "Alice", "Alice@CORP.example"),
        ("alice@other.example", "alice@other.example", "alice@other.example"),
    ])
    func aNameIsReadWithItsDomain(typed: String, account: String, upn: String) throws {
        let name = try #require(DirectoryAccountName(typed, domains: ["corp.example", "CORP", "other.example"]))
        #expect(name.account == account && name.upn == upn)
    }

    @Test(arguments: ["EVIL\\alice", "alice@evil.example", "CORP\\", "@corp.example", "CORP\\alice@evil.example", "CORP\\EVIL\\alice"])
    func aNameOfAnotherDomainIsAskedNothing(typed: String) {
        #expect(DirectoryAccountName(typed, domains: ["corp.example", "CORP"]) == nil)
    }

    // MARK: Answers

    private static func active(_ data: String) -> LDAPBindAnswer {
        LDAPBindAnswer(code: 49, diagnostic: "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data \(data), v3839")
    }

    @Test(arguments: [
        ("52e", LDAPVerdict.wrong), ("525", .wrong), ("530", .refused(.outsideLogonHours)), ("531", .refused(.logonNotAllowed)),
        ("532", .expired), ("533", .refused(.accountDisabled)), ("701", .refused(.accountExpired)), ("773", .expired),
        ("775", .refused(.accountLocked)), ("52E", .wrong), ("fff", .wrong), ("", .wrong),
    ])
    func activeDirectorySaysWhy(data: String, verdict: LDAPVerdict) {
        #expect(LDAPVerdict(Self.active(data)) == verdict)
    }

    @Test func othersSayWhyTheirWay() {
        #expect(LDAPVerdict(LDAPBindAnswer(code: 0)) == .right)
        #expect(LDAPVerdict(LDAPBindAnswer(code: 0, policyError: 2)) == .expired)
        #expect(LDAPVerdict(LDAPBindAnswer(code: 49)) == .wrong)
        #expect(LDAPVerdict(LDAPBindAnswer(code: 49, policyError: 0)) == .expired)
        #expect(LDAPVerdict(LDAPBindAnswer(code: 49, policyError: 1)) == .refused(.accountLocked))
        #expect(
            LDAPVerdict(LDAPBindAnswer(code: 53, diagnostic: "Account inactivated. Contact system administrator."))
                == .refused(.accountDisabled))
        #expect(LDAPVerdict(LDAPBindAnswer(code: 19, diagnostic: "Exceed password retry limit.")) == .refused(.accountLocked))
        for code in [1, 2, 8, 13, 51, 52, 80, 255] {
            guard case .unjudged = LDAPVerdict(LDAPBindAnswer(code: code)) else {
                Issue.record("code \(code) is no judgement of a password")
                continue
            }
        }
    }
}
