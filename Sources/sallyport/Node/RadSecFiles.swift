// SPDX-License-Identifier: Apache-2.0
// The files of RADIUS over TLS: what they hold when they are read, and whether they have changed since.

import Foundation
import RADIUS
import TLS
import WebDoor

struct RadSecFiles: Sendable, Equatable {
    var listen: [ListenAddress] = []
    /// Absolute, all of them; nil: none.
    var certificate: String?
    var key: String?
    var clientCA: String?
    var revoked: String?
    /// The one that is spoken; nil: each.
    var version: RADIUSVersion?

    /// Nobody has larger ones; something else was named by mistake.
    static let largestFile = 16 << 20

    /// What belongs together.
    func check() throws(SettingsError) {
        guard !listen.isEmpty else { return }
        guard certificate != nil, key != nil else {
            throw SettingsError(description: "radsec.listen: needs radsec.certificate and radsec.key, which gateways know this host by")
        }
    }

    /// - Throws: `SettingsError`, which names the key and the file, and never what is in it.
    func read() throws(SettingsError) -> TLSSettings {
        var settings = TLSSettings()
        settings.certificates = try Self.contents(certificate, SettingKey.radsecCertificate)
        settings.key = try Self.contents(key, SettingKey.radsecKey)
        settings.peerAuthorities = try Self.contents(clientCA, SettingKey.radsecClientCA)
        settings.revocations = try Self.contents(revoked, SettingKey.radsecRevoked)
        return settings
    }

    static func contents(_ path: String?, _ key: SettingKey) throws(SettingsError) -> [UInt8] {
        guard let path else { return [] }
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path, isDirectory: false))
            defer { try? handle.close() }
            guard let data = try handle.read(upToCount: Self.largestFile + 1), !data.isEmpty else {
                throw SettingsError(description: "\(key.name): \(path) is empty")
            }
            guard data.count <= Self.largestFile else { throw SettingsError(description: "\(key.name): \(path) is larger than 16 MiB") }
            return Array(data)
        } catch let error as SettingsError {
            throw error
        } catch {
            let reason = FileManager.default.fileExists(atPath: path) ? "cannot be read by this user" : "does not exist"
            throw SettingsError(description: "\(key.name): \(path) \(reason)")
        }
    }

    /// Changes whenever one of the files does.
    var mark: [String] { Self.mark(of: [certificate, key, clientCA, revoked]) }

    static func mark(of paths: [String?]) -> [String] {
        paths.map { path in
            guard let path, let found = try? FileManager.default.attributesOfItem(atPath: path) else { return "" }
            return "\(found[.modificationDate] ?? "") \(found[.size] ?? "") \(found[.systemFileNumber] ?? "")"
        }
    }
}

extension RADIUSVersion {
    /// Nil for what names none.
    init?(applicationProtocol: String) {
        guard let version = Self.allCases.first(where: { $0.applicationProtocol == applicationProtocol }) else { return nil }
        self = version
    }
}
