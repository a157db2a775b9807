// SPDX-License-Identifier: Apache-2.0
// Brings the certificates of RADIUS over TLS into force, again whenever their files change: no restart, no connection lost.

import Administration
import Logging
import LoginEngine
import RADIUSDoor
import TLS

final class RadSecKeeper: Sendable {
    let files: RadSecFiles
    private let radius: RADIUSService
    private let watch: CertificateWatch

    /// Nil where nothing is to listen.
    init?(files: RadSecFiles, radius: RADIUSService, logger: Logger) {
        guard !files.listen.isEmpty else { return nil }
        (self.files, self.radius) = (files, radius)
        watch = CertificateWatch("RADIUS over TLS", file: files.certificate ?? "", logger: logger)
    }

    var inForce: CertificateWatch.InForce? { watch.inForce }

    /// - Throws: `SettingsError`, one line.
    func load() throws(SettingsError) {
        try watch.load(files.mark) { () throws(SettingsError) in
            let settings = try files.read()
            do throws(TLSError) {
                return try radius.useCertificates(settings)
            } catch {
                throw SettingsError(description: "radsec: \(error.description)")
            }
        }
    }

    /// Reads them again where they have changed, or are said to have.
    func reload(isAsked: Bool, at now: Timestamp) {
        watch.reload(isAsked: isAsked, mark: files.mark, at: now) { () throws(SettingsError) in try load() }
    }
}
