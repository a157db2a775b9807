// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Logging
import LoginEngine
import Store
import Testing
import Yams

@testable import sallyport

@Suite struct SettingsTests {
    private func read(_ yaml: String, flags: [String: String] = [:], environment: [String: String] = [:]) throws -> Settings {
        try Settings.read(flags: flags, environment: environment, yaml: yaml, fileName: "s.yaml")
    }

    private func complaint(_ yaml: String, flags: [String: String] = [:], environment: [String: String] = [:]) -> String {
        do {
            _ = try read(yaml, flags: flags, environment: environment)
            return "taken"
        } catch {
            return "\(error)"
        }
    }

    private func texts(_ values: [some Any]) -> [String] { values.map { "\($0)" } }

    @Test func withoutAnyLayerTheDefaultsHold() throws {
        let settings = try read("")
        #expect(settings.dataDirectory == "/var/lib/sallyport")
        #expect(settings.database == .sqlite)
        #expect(settings.masterKeySource == .file(nil))
        #expect(settings.masterKeyFile == "/var/lib/sallyport/master.key")
        #expect(texts(settings.radiusListen) == ["0.0.0.0:1812", "[::]:1812"])
        #expect(texts(settings.webHealth) == ["0.0.0.0:8080"])
        #expect(texts(settings.webMetrics) == ["127.0.0.1:9090"])
        #expect(settings.logLevel == .info)
        #expect(settings.logFormat == .text)
        #expect(settings.origins["log.level"] == "defaults")
    }

    @Test func flagsWinOverVariablesOverTheFile() throws {
        let yaml = "data-directory: /file\nlog: { level: error, format: json }\nradius:\n  listen: [\"127.0.0.1:1\"]\n"
        let settings = try read(
            yaml, flags: ["data-directory": "/flag"],
            environment: ["SALLYPORT_DATA_DIRECTORY": "/variable", "SALLYPORT_LOG_LEVEL": "debug"])
        #expect(settings.dataDirectory == "/flag")
        #expect(settings.logLevel == .debug)
        #expect(settings.logFormat == .json)
        #expect(texts(settings.radiusListen) == ["127.0.0.1:1"])
        #expect(settings.origins["data-directory"] == "flags")
        #expect(settings.origins["log.level"] == "environment")
        #expect(settings.origins["log.format"] == "file")
    }

    @Test func theShortVariableOfTheDataDirectoryIsTakenToo() throws {
        #expect(try read("", environment: ["SALLYPORT_DATA_DIR": "/short"]).dataDirectory == "/short")
        let both = ["SALLYPORT_DATA_DIR": "/short", "SALLYPORT_DATA_DIRECTORY": "/long"]
        #expect(try read("", environment: both).dataDirectory == "/long")
        #expect(SettingsLayer.warnings(environment: both).isEmpty)
    }

    @Test func listsInFlagsAndVariablesAreSeparatedByCommas() throws {
        let settings = try read(
            "", flags: ["radius.listen": "127.0.0.1:0, [::1]:0", "web.health": ""], environment: ["SALLYPORT_WEB_METRICS": "[::1]:9"])
        #expect(texts(settings.radiusListen) == ["127.0.0.1:0", "[::1]:0"])
        #expect(settings.webHealth.isEmpty)
        #expect(texts(settings.webMetrics) == ["[::1]:9"])
    }

    @Test(arguments: [
        ("radius:\n  lisen: []\n", "s.yaml:2:3: unknown key \"radius.lisen\"; did you mean \"radius.listen\"?"),
        ("datadirectory: /x\n", "s.yaml:1:1: unknown key \"datadirectory\"; did you mean \"data-directory\"?"),
        ("# c\n\nlisten: []\n", "s.yaml:3:1: unknown key \"listen\"; did you mean \"radius.listen\"?"),
        ("radios: {}\n", "s.yaml:1:1: unknown key \"radios\"; did you mean \"radius\"?"),
        ("log:\n  level: info\n  colour: yes\n", "s.yaml:3:3: unknown key \"log.colour\"; the keys are"),
        ("web: { health: \"8080\" }\n", "s.yaml:1:16: web.health: \"8080\" is a port without an address"),
        ("web:\n  health:\n    - 127.0.0.1:80\n    - 127.0.0.1\n", "s.yaml:4:7: web.health: \"127.0.0.1\" has no port"),
        ("web:\n  health: [1, 2]\n", "s.yaml:2:12: web.health: must be a list of addresses, such as [\"127.0.0.1:9090\"], not a number"),
        ("web:\n  health: { a: b }\n", "s.yaml:2:11: web.health: must be a list of addresses, such as [\"127.0.0.1:9090\"], not keys"),
        ("web:\n  health:\n", "web.health: must be a list of addresses, such as [\"127.0.0.1:9090\"], not nothing"),
        ("log: verbose\n", "s.yaml:1:6: log: must hold keys (level, format), not text"),
        ("log: { level: loud }\n", "s.yaml:1:15: log.level: must be one of trace, debug, info, notice, warning, error, critical"),
        ("log: { level: warnig }\n", "did you mean \"warning\"?"),
        ("log: { format: 5 }\n", "s.yaml:1:16: log.format: must be text, not a number"),
        ("data-directory: [a]\n", "s.yaml:1:17: data-directory: must be text, not a list"),
        ("data-directory: \"\"\n", "s.yaml:1:17: data-directory: is empty"),
        ("data-directory: \"a\\0b\"\n", "s.yaml:1:17: data-directory: holds a control character"),
        ("database: sqlite\ndatabase: sqlite\n", "the key \"database\" is there twice"),
        ("radius:\n  listen: []\n", "radius.listen: is empty"),
        ("radius.listen: [\"127.0.0.1:1\"]\nradius:\n  listen: [\"127.0.0.1:2\"]\n", "s.yaml:3:3: radius.listen: is there twice"),
        ("radius:\n  listen: [\"127.0.0.1:1\", \"127.0.0.1:1\"]\n", "s.yaml:2:11: radius.listen: \"127.0.0.1:1\" is there twice"),
        ("web: { health: [\"[::1]:1\"], metrics: [\"[::1]:1\"] }\n", "web.health and web.metrics both listen on [::1]:1"),
        ("- a\n", "s.yaml:1:1: must be a list of keys"),
        ("a: [\n", "s.yaml:2:1: not YAML: "),
        ("a: b: c\n", "s.yaml:1:5: not YAML: "),
    ])
    func aMistakeIsOneLineWithItsPlace(yaml: String, words: String) {
        let complaint = complaint(yaml)
        #expect(complaint.contains(words), "\(complaint)")
        #expect(!complaint.contains("\n"))
    }

    @Test func aMistakeInAFlagOrVariableNamesIt() {
        #expect(complaint("", flags: ["log.format": "xml"]) == "--log-format: must be one of text, json")
        #expect(
            complaint("", environment: ["SALLYPORT_RADIUS_LISTEN": "localhost:1"]).hasPrefix("SALLYPORT_RADIUS_LISTEN: \"localhost:1\""))
    }

    @Test func whatAnotherLayerOverridesIsCheckedToo() {
        #expect(complaint("log: { level: loud }\n", flags: ["log.level": "info"]).contains("s.yaml:1:15"))
    }

    @Test func postgresIsTakenAsItIsAndNoErrorRepeatsItsPassword() throws {
        let url = "postgresql://sallyport:hunter2@db1,db2/sallyport?target_session_attrs=read-write"
        let settings = try read("database: \(url)\n")
        #expect(settings.database == .postgres(try PostgresAddress(url)))
        #expect(!"\(settings)".contains("hunter2"))
        let wrong = complaint("database: postgresql://sallyport:hunter2@[db/sallyport\n")
        #expect(wrong.hasPrefix("s.yaml:1:11: database: is no address that libpq understands") && !wrong.contains("hunter2"), "\(wrong)")
        #expect(complaint("database: mysql://x\n").contains("must be \"sqlite\""))
        // What is typed, every user of the machine can read.
        let typed = complaint("", flags: ["database": url])
        #expect(typed.hasPrefix("--database: holds a password") && !typed.contains("hunter2"), "\(typed)")
        #expect(try read("", environment: ["SALLYPORT_DATABASE": url]).origins["database"] == "environment")
    }

    @Test(arguments: [
        ("file", Settings.MasterKeySource.file(nil)), ("file:/k", .file("/k")), ("environment", .environment("SALLYPORT_MASTER_KEY")),
        ("environment:X", .environment("X")), ("credential", .credential("sallyport.master-key")), ("credential:k", .credential("k")),
    ])
    func masterKeySources(text: String, source: Settings.MasterKeySource) throws {
        #expect(try read("master-key: { source: \"\(text)\" }\n").masterKeySource == source)
    }

    @Test(arguments: ["vault", "file:", "environment:", "credential:../x", ""])
    func otherMasterKeySourcesAreRefused(text: String) {
        #expect(complaint("master-key: { source: \"\(text)\" }\n").hasPrefix("s.yaml:1:23: master-key.source: "))
    }

    @Test func aVariableThatIsNearlyOursIsAWarning() throws {
        let settings = try read("", environment: ["SALLYPORT_LOG_LEVL": "debug", "SALLYPORT_REQUIRE": "x", "SALLYPORT_MASTER_KEY": "00"])
        #expect(settings.warnings == ["the environment variable SALLYPORT_LOG_LEVL is not used; did you mean SALLYPORT_LOG_LEVEL?"])
    }

    @Test func whatDevicesAreJudgedByIsRead() throws {
        let standard = try read("").deviceTrust
        #expect(standard.authorities == nil && standard.revocations.isEmpty && standard.names == [.principal, .mail])
        #expect(standard.grace == .minutes(24 * 60))
        let yaml = """
            eap:
              client-ca: /ca.pem
              client-crl: /a.crl, /b.crl
              client-crl-grace: none
              client-names: dns,common-name
            """
        let settings = try read(yaml).deviceTrust
        #expect(settings.authorities == "/ca.pem" && settings.revocations == ["/a.crl", "/b.crl"])
        #expect(settings.names == [.host, .common] && settings.grace == .seconds(0))
    }

    @Test func whoIsAskedAboutDevicesIsRead() throws {
        let standard = try read("")
        #expect(standard.deviceTrust.addresses.isEmpty && standard.deviceTrust.status == StatusRule() && standard.staple == nil)
        #expect(!standard.deviceTrust.wantsLists)
        let yaml = """
            eap:
              client-ca: /ca.pem
              client-crl-url: http://ca.example.org/a.crl, https://[2001:db8::1]:8443/b.crl?x=y
              client-ocsp: http://ocsp.example.org
              client-ocsp-failure: accept
              client-ocsp-nonce: required
              server-ocsp: /var/lib/ocsp/staple.der
            """
        let settings = try read(yaml)
        #expect(settings.deviceTrust.addresses.map(\.text) == ["http://ca.example.org/a.crl", "https://[2001:db8::1]:8443/b.crl?x=y"])
        let responder = try WebAddress("http://ocsp.example.org")
        #expect(settings.deviceTrust.status == StatusRule(responder: .address(responder), acceptsSilence: true, wantsNonce: true))
        #expect(settings.staple == .file("/var/lib/ocsp/staple.der") && settings.deviceTrust.wantsLists)
        #expect(try read("eap: { server-ocsp: certificate }").staple == .certificate)
        #expect(try read("eap: { client-ca: /ca.pem, client-ocsp: certificate }").deviceTrust.status.responder == .certificate)
    }

    @Test(
        arguments: [
            ("eap: { client-ca: /a, client-crl-url: \"file:///etc/passwd\" }", "must be an address such as http://"),
            ("eap: { client-ca: /a, client-crl-url: \"ftp://host/a\" }", "must begin with http:// or https://"),
            ("eap: { client-ca: /a, client-crl-url: \"http://user:pw@host/a\" }", "must hold no user name or password"),
            ("eap: { client-ca: /a, client-crl-url: \"http://host/a, http://host/a\" }", "names http://host/a twice"),
            ("eap: { client-ca: /a, client-ocsp: ocsp.example.org }", "must be an address such as http://"),
            ("eap: { client-ca: /a, client-ocsp-failure: ignore }", "must be one of refuse, accept"),
            ("eap: { server-ocsp: \"ldap://host/\" }", "must begin with http:// or https://"),
            ("eap: { client-crl-url: \"http://host/a\" }", "eap.client-crl-url: needs eap.client-ca"),
            ("eap: { client-ocsp: certificate }", "eap.client-ocsp: needs eap.client-ca"),
        ])
    func addressThatCannotBeAskedIsNamed(_ yaml: String, _ words: String) {
        #expect(complaint(yaml).contains(words), "\(complaint(yaml))")
    }

    @Test(
        arguments: [
            ("eap: { client-names: \"upn,upn\" }", "must be some of upn, email, dns, common-name, each once"),
            ("eap: { client-names: serial }", "must be some of upn, email, dns, common-name, each once"),
            ("eap: { client-crl-grace: for-ever }", "must be none, or a time such as 1 day or 2 weeks"),
            ("eap: { client-crl: /a.crl }", "eap.client-crl: needs eap.client-ca"),
        ])
    func whatCannotJudgeDevicesIsNamed(_ yaml: String, _ words: String) {
        #expect(complaint(yaml).contains(words), "\(complaint(yaml))")
    }

    @Test func relativePathsBecomeAbsolute() throws {
        let path = try read("data-directory: data/../x\n").dataDirectory
        #expect(path == FileManager.default.currentDirectoryPath + "/x")
    }

    @Test func aNamedFileMustExistAndTheStandardOneNeedNot() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "settings-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "a.yaml").path
        #expect(throws: SettingsError(description: "\(file): the settings file does not exist")) {
            try Settings.read(environment: [:], file: file)
        }
        _ = try Settings.read(environment: [:], standardFile: file)
        try Data("log: { level: debug }\n".utf8).write(to: URL(filePath: file))
        #expect(try Settings.read(environment: [:], standardFile: file).logLevel == .debug)
        #expect(try Settings.read(environment: ["SALLYPORT_CONFIG": file], standardFile: "/nonexistent").logLevel == .debug)
        try Data([0xFF, 0xFE]).write(to: URL(filePath: file))
        #expect(throws: SettingsError(description: "\(file): not UTF-8 text")) { try Settings.read(environment: [:], file: file) }
        try Data(count: Settings.largestFile + 1).write(to: URL(filePath: file))
        #expect(throws: SettingsError.self) { try Settings.read(environment: [:], file: file) }
    }

    @Test func everyKeyIsAFlag() throws {
        for key in SettingKey.all {
            let flags = try SettingsFlags.parse([key.flag, "x"])
            #expect(flags.values == [key.name: "x"])
        }
        #expect(try SettingsFlags.parse(["--data-dir", "/d"]).values == ["data-directory": "/d"])
        #expect(try SettingsFlags.parse([]).values.isEmpty)
    }

    @Test func thePageOfSettingsIsCurrent() throws {
        let page = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/run/settings.md").standardizedFileURL
        if ProcessInfo.processInfo.environment["SALLYPORT_GOLDEN"] == "write" {
            try FileManager.default.createDirectory(at: page.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(SettingKey.page.utf8).write(to: page)
        }
        let written = try String(contentsOf: page, encoding: .utf8)
        #expect(written == SettingKey.page, "run `make golden` and read the diff")
    }

    @Test func theFileOfThePackageIsCurrentAndHoldsItsOneDecision() throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent()
        let file = tests.appending(path: "../../packaging/sallyport.yaml").standardizedFileURL
        if ProcessInfo.processInfo.environment["SALLYPORT_GOLDEN"] == "write" { try Data(SettingKey.packagedFile.utf8).write(to: file) }
        let written = try String(contentsOf: file, encoding: .utf8)
        #expect(written == SettingKey.packagedFile, "run `make golden` and read the diff")
        let settings = try read(written)
        #expect(settings.masterKeySource == .credential("sallyport.master-key"))
        #expect(settings.origins.filter { $0.value == "file" }.keys.sorted() == ["master-key.source"])
        // Without its comment sign, every line is still right, and says what the default is.
        let all = written.split(separator: "\n").map { $0.replacing(/^( *)#(?! )/) { $0.output.1 } }.joined(separator: "\n")
        let uncommented = try read(all)
        #expect(uncommented.origins.values.allSatisfy { $0 == "file" })
        #expect(uncommented.radiusListen == (try read("")).radiusListen)
    }

    @Test func theFileOnThePageIsTheDefaults() throws {
        let yaml = try #require(SettingKey.page.split(separator: "```yaml\n").last?.split(separator: "\n```").first)
        var settings = try read(String(yaml))
        #expect(settings.origins.values.allSatisfy { $0 == "file" })
        settings.origins = try read("").origins
        let defaults = try read("")
        #expect(settings == defaults)
    }

    @Test func theNearestNameIsCloseEnough() {
        #expect(NearestName.distance("listen", "lisetn") == 1)
        #expect(NearestName.distance("", "abc") == 3)
        #expect(NearestName.of("zzz", in: ["log"]) == nil)
    }
}
