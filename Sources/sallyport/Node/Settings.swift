// SPDX-License-Identifier: Apache-2.0
// What a node is told before it starts: flags over environment over sallyport.yaml over defaults.

import Configuration
import Foundation
import Logging
import LoginEngine
import RADIUS
import Store
import WebDoor

struct Settings: Sendable, Equatable {
    enum Database: Sendable, Equatable {
        case sqlite
        case postgres(PostgresAddress)
    }

    enum MasterKeySource: Sendable, Equatable {
        /// nil: `master.key` in the data directory.
        case file(String?)
        case environment(String)
        /// A file in systemd's `$CREDENTIALS_DIRECTORY`.
        case credential(String)
    }

    enum LogFormat: String, Sendable {
        case text, json
    }

    /// Absolute.
    var dataDirectory: String
    var database: Database
    var masterKeySource: MasterKeySource
    var radiusListen: [ListenAddress]
    var radiusAccounting: [ListenAddress]
    var radsec: RadSecFiles
    var deviceTrust: DeviceTrustFiles
    /// Nil: this host's.
    var eapServerName: String?
    /// Absolute; nil: none.
    var countryDatabase: String?
    var staple: StapleSource?
    var webHealth: [ListenAddress]
    var webMetrics: [ListenAddress]
    var pages: PageFiles
    /// Nil: for ever.
    var sessionsKeep: Timestamp.Span?
    /// Nil: never.
    var sessionsLostAfter: Timestamp.Span?
    /// How long a grant may last.
    var grantsLongest: Timestamp.Span
    /// Absolute; nil: none.
    var auditAnchorFile: String?
    /// Nil: for ever.
    var auditKeep: Timestamp.Span?
    /// Bytes; nil: as many as come.
    var auditLargestSize: Int64?
    var logLevel: Logger.Level
    var logFormat: LogFormat

    /// What looks like a mistake and stops nothing; logged once at the start.
    var warnings: [String] = []
    /// Name of the layer that set each key: `flags`, `environment`, `file` or `defaults`.
    var origins: [String: String] = [:]
}

/// Why a node cannot start with these settings: one line, exit code 78.
struct SettingsError: Error, Equatable, CustomStringConvertible {
    var description: String
}

extension Settings {
    static let standardFile = "/etc/sallyport/sallyport.yaml"
    static let fileVariable = "SALLYPORT_CONFIG"
    /// Nobody writes a larger one; something else was named by mistake.
    static let largestFile = 1 << 20

    /// Reads every layer and checks all of it, also what another layer overrides.
    /// - Parameters:
    ///   - flags: values by key name, as typed; see ``SettingsFlags``.
    ///   - file: `--config`; nil looks at `SALLYPORT_CONFIG`, then at the standard place.
    static func read(
        flags: [String: String] = [:], environment: [String: String] = ProcessInfo.processInfo.environment, file: String? = nil,
        standardFile: String = Self.standardFile
    ) throws(SettingsError) -> Settings {
        let named = fileInForce(environment: environment, file: file, standardFile: standardFile)
        let text: String? = if let named { try contents(named) } else { nil }
        return try read(flags: flags, environment: environment, yaml: text ?? "", fileName: named ?? standardFile)
    }

    /// Nil where no file is named and none stands at the standard place.
    static func fileInForce(
        environment: [String: String] = ProcessInfo.processInfo.environment, file: String?, standardFile: String = Self.standardFile
    ) -> String? {
        file ?? environment[fileVariable] ?? (FileManager.default.fileExists(atPath: standardFile) ? standardFile : nil)
    }

    /// The same without the file system.
    static func read(
        flags: [String: String] = [:], environment: [String: String] = [:], yaml: String, fileName: String = "sallyport.yaml"
    ) throws(SettingsError) -> Settings {
        var layers: [SettingsLayer] = []
        layers.append(try SettingsLayer(flags: flags))
        layers.append(try SettingsLayer(environment: environment))
        layers.append(try SettingsLayer(yaml: yaml, fileName: fileName))
        layers.append(SettingsLayer.defaults)

        var settings = try Settings(layers: layers)
        settings.warnings = SettingsLayer.warnings(environment: environment)
        try settings.checkListeners()
        try settings.radsec.check()
        try settings.deviceTrust.check()
        try settings.pages.check()
        try settings.checkAnchorFile()
        return settings
    }

    private init(layers: [SettingsLayer]) throws(SettingsError) {
        let reader = ConfigReader(providers: layers.map(\.provider))
        do {
            dataDirectory = try Self.absolute(reader.requiredString(forKey: ConfigKey(SettingKey.dataDirectory.name)))
            database = try Self.database(reader.requiredString(forKey: ConfigKey(SettingKey.database.name)))
            masterKeySource = try Self.masterKeySource(reader.requiredString(forKey: ConfigKey(SettingKey.masterKeySource.name)))
            radiusListen = try Self.addresses(reader, .radiusListen)
            radiusAccounting = try Self.addresses(reader, .radiusAccounting)
            sessionsKeep = try Self.keepTime(reader.requiredString(forKey: ConfigKey(SettingKey.sessionsKeep.name)))
            sessionsLostAfter = try Self.lostTime(reader.requiredString(forKey: ConfigKey(SettingKey.sessionsLostAfter.name)))
            grantsLongest = try Self.grantTime(reader.requiredString(forKey: ConfigKey(SettingKey.grantsLongest.name)))
            radsec = RadSecFiles(
                listen: try Self.addresses(reader, .radsecListen), certificate: try Self.file(reader, .radsecCertificate),
                key: try Self.file(reader, .radsecKey), clientCA: try Self.file(reader, .radsecClientCA),
                revoked: try Self.file(reader, .radsecRevoked),
                version: RADIUSVersion(applicationProtocol: try reader.requiredString(forKey: ConfigKey(SettingKey.radsecVersion.name))))
            deviceTrust = DeviceTrustFiles(
                authorities: try Self.file(reader, .eapClientCA),
                revocations: Self.files(try reader.requiredString(forKey: ConfigKey(SettingKey.eapClientCRL.name))),
                addresses: try Self.webAddresses(reader.requiredString(forKey: ConfigKey(SettingKey.eapClientCRLURL.name))),
                grace: try Self.grace(reader.requiredString(forKey: ConfigKey(SettingKey.eapClientCRLGrace.name))),
                status: StatusRule(
                    responder: try Self.responder(reader.requiredString(forKey: ConfigKey(SettingKey.eapClientOCSP.name))),
                    acceptsSilence: try reader.requiredString(forKey: ConfigKey(SettingKey.eapClientOCSPFailure.name)) == "accept",
                    wantsNonce: try reader.requiredString(forKey: ConfigKey(SettingKey.eapClientOCSPNonce.name)) == "required"),
                names: try Self.certificateNames(reader.requiredString(forKey: ConfigKey(SettingKey.eapClientNames.name))))
            eapServerName = try Self.serverName(reader.requiredString(forKey: ConfigKey(SettingKey.eapServerName.name)))
            countryDatabase = try Self.file(reader, .countryDatabase)
            staple = try Self.staple(reader.requiredString(forKey: ConfigKey(SettingKey.eapServerOCSP.name)))
            webHealth = try Self.addresses(reader, .webHealth)
            webMetrics = try Self.addresses(reader, .webMetrics)
            pages = PageFiles(
                listen: try Self.addresses(reader, .webPublic),
                url: try Self.publicURL(reader.requiredString(forKey: ConfigKey(SettingKey.webPublicURL.name))),
                certificate: try Self.madeOrFile(reader, .webCertificate), key: try Self.madeOrFile(reader, .webKey),
                folder: dataDirectory + "/web")
            auditAnchorFile = try Self.anchorFile(reader.requiredString(forKey: ConfigKey(SettingKey.auditAnchorFile.name)))
            auditKeep = try Self.keepTime(reader.requiredString(forKey: ConfigKey(SettingKey.auditKeep.name)))
            auditLargestSize = try Self.size(reader.requiredString(forKey: ConfigKey(SettingKey.auditLargestSize.name)))
            logLevel = try reader.requiredString(forKey: ConfigKey(SettingKey.logLevel.name), as: Logger.Level.self)
            logFormat = try reader.requiredString(forKey: ConfigKey(SettingKey.logFormat.name), as: LogFormat.self)
        } catch let error as SettingsError {
            throw error
        } catch {
            // The layers were checked value by value, so this is a fault of ours; it still has to be one line.
            throw SettingsError(description: "settings: \(error)")
        }
        for key in SettingKey.all {
            origins[key.name] = layers.first { $0.values[key.name] != nil }?.name
        }
    }

    private static func addresses(_ reader: ConfigReader, _ key: SettingKey) throws -> [ListenAddress] {
        try reader.requiredStringArray(forKey: ConfigKey(key.name)).map { try ListenAddress($0) }
    }

    /// Absolute; nil for `none`.
    private static func file(_ reader: ConfigReader, _ key: SettingKey) throws -> String? {
        let path = try reader.requiredString(forKey: ConfigKey(key.name))
        return path == "none" ? nil : absolute(path)
    }

    /// Absolute; nil for `self-made`.
    private static func madeOrFile(_ reader: ConfigReader, _ key: SettingKey) throws -> String? {
        let path = try reader.requiredString(forKey: ConfigKey(key.name))
        return path == "self-made" ? nil : absolute(path)
    }

    /// Absolute; none for `none`.
    private static func files(_ text: String) -> [String] {
        text == "none" ? [] : text.split(separator: ",").map { absolute(String($0.trimmingPrefix { $0 == " " })) }
    }

    private static func absolute(_ path: String) -> String {
        URL(fileURLWithPath: path, isDirectory: false).standardizedFileURL.path
    }

    private static func contents(_ file: String) throws(SettingsError) -> String {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: file, isDirectory: false))
        } catch {
            let reason = FileManager.default.fileExists(atPath: file) ? "cannot be read" : "does not exist"
            throw SettingsError(description: "\(file): the settings file \(reason)")
        }
        guard data.count <= largestFile else { throw SettingsError(description: "\(file): larger than 1 MiB; is this the settings file?") }
        guard let text = String(bytes: data, encoding: .utf8) else { throw SettingsError(description: "\(file): not UTF-8 text") }
        return text
    }
}

extension Settings {
    /// Where the master key is, if it is a file.
    var masterKeyFile: String? {
        if case .file(let path) = masterKeySource { path ?? dataDirectory + "/master.key" } else { nil }
    }
}
