// SPDX-License-Identifier: Apache-2.0
// The pages of the gateways, the profiles, and what `client show --howto` prints say the same.

import Foundation
import LoginEngine
import Store
import Testing

@testable import Administration

@Suite struct GatewayPageTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/gateways")
    /// About no product.
    private static let guides: Set<String> = ["eap-tls", "names", "password-protocols", "radsec"]

    private func page(_ name: String) throws -> String {
        try String(contentsOf: Self.folder.appendingPathComponent(name + ".md"), encoding: .utf8)
    }

    private func client(of profile: ClientProfile) -> ClientSettings {
        var settings = ClientSettings(name: "edge-7", addresses: [AddressRange("192.0.2.7")!], secret: Secret(utf8: "0mEq7-long-and-odd"))
        profile.shape(&settings)
        return settings
    }

    private func howto(_ settings: ClientSettings) -> String {
        HowTo.lines(for: settings, listening: ["198.51.100.9:11812", "[::]:11812"], accounting: ["198.51.100.9:11813"])
    }

    @Test func everyProfileHasAPageAndEveryPageAProfile() throws {
        let pages = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).map { String($0.dropLast(3)) }
        #expect(Set(pages).subtracting(Self.guides) == Set(ClientProfile.all.map(\.name)))
    }

    @Test(arguments: ClientProfile.all.map(\.name)) func thePageSaysWhatTheProfileSets(name: String) throws {
        let profile = try #require(ClientProfile.named(name))
        let asks =
            switch (profile.requirement, profile.asking) {
            case (.factor?, _): "the code alone"
            case (_, .challenge?): "the code by challenge"
            case (_, .append?): "password and code in one field"
            case (_, .appendOrChallenge?): "the code by challenge or in one field"
            case (_, nil): "the code as you choose"
            }
        let charset =
            switch profile.charset {
            case .utf8: "UTF-8"
            case .latin1: "Latin-1"
            case .auto: "UTF-8 or Latin-1"
            }
        let row = [
            asks + (profile.fixedLengthTail ? ", also with nothing between" : "")
                + profile.eap.map { "; \($0.title)" }.joined(),
            "\(profile.retryTimeout) seconds, \(profile.retryTries) times", charset,
            profile.disconnectPort == 0 ? "no Disconnect-Requests" : "Disconnect-Requests to UDP \(profile.disconnectPort)",
            "groups in `\(profile.groupAttribute)`" + (profile.groupPrefix.isEmpty ? "" : " behind `\(profile.groupPrefix)`"),
        ].joined(separator: "; ")
        #expect(try page(name).contains("| profile | `\(name)`: \(row) |\n"), "docs/gateways/\(name).md lacks: \(row)")
        #expect(try page(name).contains("--profile \(name)") || name == "generic")
    }

    /// Each line to paste and each cell to enter, read from the page anew.
    @Test(arguments: ClientProfile.all.map(\.name)) func theCommandPrintsThePagesLines(name: String) throws {
        let profile = try #require(ClientProfile.named(name))
        let settings = client(of: profile)
        let printed = howto(settings)
        let lines = try page(name).components(separatedBy: "\n")
        let start = try #require(lines.firstIndex(of: "## Gateway side"))
        let end = try #require(lines[(start + 1)...].firstIndex { $0.hasPrefix("## ") })
        let places = [
            "server": "198.51.100.9", "port": "11812", "accounting-port": "11813", "client": "edge-7",
            "timeout": "\(settings.retryTimeout)",
            "tries": "\(settings.retryTries)", "retries": "\(settings.retryTries - 1)",
            "total": "\(settings.retryTimeout * settings.retryTries)", "disconnect-port": "\(settings.disconnectPort)",
            "protocols": profile.schemes == .all ? "MS-CHAPv2 or MS-CHAP or CHAP or PAP" : "PAP",
        ]
        func filled(_ text: String) -> String { places.reduce(text) { $0.replacing("<\($1.key)>", with: $1.value) } }
        var count = 0
        var isFenced = false
        for line in lines[(start + 1)..<end] {
            if line.hasPrefix("```") {
                isFenced.toggle()
            } else if isFenced {
                count += 1
                #expect(printed.contains("\n" + filled(line) + "\n"), "\(line)")
            } else if line.hasPrefix("|"), !line.hasPrefix("| ---"), line != "| field | value |" {
                count += 1
                for cell in line.split(separator: "|") {
                    let bare = cell.trimmingCharacters(in: .whitespaces).filter { $0 != "`" && $0 != "*" }
                    #expect(printed.filter { $0 != "*" }.contains(filled(bare)), "\(line)")
                }
            }
        }
        #expect(count >= 3)
        #expect(!printed.contains("0mEq7-long-and-odd"))
        // What stays open is named above the lines.
        #expect(printed.matches(of: /<([a-z-]+)>/).allSatisfy { $0.1 == "secret" })
        #expect(printed.contains("docs/gateways/\(name).md"))
        #expect(printed.components(separatedBy: "\n")[1].hasPrefix("<secret> the shared secret"))
    }

    /// What `doctor` tells to set at the product stands on its page, by the same name.
    @Test(arguments: ClientProfile.all.map(\.name)) func thePageHasTheDoctorsWords(name: String) throws {
        let words = try #require(GatewayWords.all[name])
        let page = try page(name).filter { $0 != "`" && $0 != "*" }
        for text in [words.retries, words.pap, words.authenticator, words.challenge, words.station, words.accounting].compactMap({ $0 }) {
            for (index, part) in text.split(separator: "`", omittingEmptySubsequences: false).enumerated() where index % 2 == 1 {
                #expect(page.contains(part), "docs/gateways/\(name).md lacks: \(part)")
            }
            #expect(text.count { $0 == "`" } % 2 == 0)
            let settings = client(of: try #require(ClientProfile.named(name)))
            #expect(!GatewayWords.filled(text, settings, accountingPort: "1813").contains("<"))
        }
    }

    /// The page says what a product needs that was really tried, and what was not.
    @Test(arguments: ClientProfile.all.map(\.name)) func thePageSaysWhereItsLinesComeFrom(name: String) throws {
        guard name != "generic" else { return }
        let text = try page(name)
        #expect(text.contains("not run here") || text.contains("run here by the tests") || text.contains("Run here by the tests"))
        for heading in ["## Sallyport side", "## Test"] { #expect(text.contains(heading + "\n")) }
        #expect(text.contains("## Seen wrong\n") || text.contains("## If it fails\n"))
    }

    @Test func thePageOfReplyAttributesNamesEveryProfilesAttribute() throws {
        let page = try page("../run/reply-attributes")
        for profile in ClientProfile.all {
            let row = page.components(separatedBy: "\n").first { $0.hasPrefix("| `") && $0.contains("`\(profile.name)`") }
            #expect(row?.contains(" \(profile.groupAttribute) (") == true, "docs/run/reply-attributes.md: \(profile.name)")
        }
    }

    @Test func anAddressThatSaysNothingIsLeftOpen() {
        let settings = client(of: .generic)
        for listening in [["0.0.0.0:1812"], ["[::]:1812"], ["127.0.0.1:1812"], []] {
            let text = HowTo.lines(for: settings, listening: listening)
            #expect(text.contains("RADIUS server             <server>\n"))
            #expect(text.contains("<server> is this host's address, as edge-7 reaches it"))
            #expect(text.contains("Accounting                1813 (UDP)"))
        }
        #expect(HowTo.lines(for: settings, listening: ["[2001:db8::5]:1812"]).contains("RADIUS server             2001:db8::5\n"))
    }

    @Test func whatTheProductCannotShowIsSaid() throws {
        var settings = client(of: try #require(ClientProfile.named("mikrotik")))
        #expect(howto(settings).contains("Users type password and code in one: secret,123456."))
        settings.asking = .challenge
        #expect(howto(settings).contains("But MikroTik RouterOS shows no challenge: `sallyport client set edge-7 --ask append`."))
        settings.requirement = .factor
        #expect(!howto(settings).contains("shows no challenge"))
        #expect(howto(client(of: try #require(ClientProfile.named("strongswan")))).contains("secret,123456 or secret123456"))
    }

    @Test func aProfileShapesAClientAndWhatStandsBesideItWins() async throws {
        let office = try Office()
        try await office.perform(office.client { $0.profile = "windows-rras" })
        func settings() throws -> ClientSettings { try #require(try office.records.client(name: "office")).settings }
        #expect(try settings().asking == .append && settings().charset == .auto && settings().retryTimeout == 10)
        var choices = ClientChoices()
        choices.profile = "strongswan"
        choices.charset = "latin-1"
        choices.disconnectPort = 0
        try await office.perform(SetClient(client: "office", choices: choices))
        #expect(try settings().fixedLengthTail && settings().charset == .latin1 && settings().disconnectPort == 0)
        choices = ClientChoices()
        choices.profile = "fortigate"
        let answer = try await office.perform(SetClient(client: "office", choices: choices))
        #expect(answer.message.contains("ask: append → challenge") && answer.message.contains("charset: latin-1 → utf-8"))
        #expect(try settings().asking == .challenge && !settings().fixedLengthTail && settings().disconnectPort == 3799)
        // A profile that leaves it open takes nothing away.
        choices.profile = "generic"
        choices.asking = "append"
        try await office.perform(SetClient(client: "office", choices: choices))
        #expect(try settings().asking == .append)
    }
}
