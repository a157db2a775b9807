// SPDX-License-Identifier: Apache-2.0
// Whose files are read, and what comes with them.

package import LoginEngine

/// A product or a format that users, factors and gateways can be brought over from.
package enum MigrationKind: String, CaseIterable, Sendable {
    case freeradius
    case duoAuthproxy = "duo-authproxy"
    case nps
    case googleAuthenticator = "google-authenticator"
    case pskc
    case oathCSV = "oath-csv"
    case yubikeyCSV = "yubikey-csv"
    case privacyidea
}

/// A file as it was found: nothing is known about what it holds.
package struct ForeignFile: Sendable {
    /// As it was given; parts of it may be a user's name.
    package var name: String
    package var bytes: [UInt8]

    /// The largest that is read.
    package static let mostBytes = 32 << 20

    package init(name: String, bytes: [UInt8]) {
        (self.name, self.bytes) = (name, bytes)
    }
}

/// What the files do not say themselves.
package struct MigrationOptions: Sendable {
    /// The key of an encrypted file, 32, 48 or 64 hexadecimal digits, or its passphrase.
    package var key: Secret?
    /// Whose token a serial number is.
    package var owners: [String: String] = [:]
    /// What tokens are of which the file does not say it.
    package var tokenKind: MigratedFactor.Kind?

    package init() {}
}

/// Why a file as a whole is refused. Names places and what was expected, never what stood there.
package struct MigrationError: Error, Sendable, Equatable {
    package var file: String
    /// 1 for the first; 0 where no line is to blame.
    package var line: Int
    package var message: String
    package var remedy: String?

    package init(_ place: Place, _ message: String, remedy: String? = nil) {
        (file, line, self.message, self.remedy) = (place.file, place.line, message, remedy)
    }
}

/// A line of a file.
package struct Place: Sendable, Hashable {
    package var file: String
    package var line: Int

    package init(_ file: String, _ line: Int) {
        (self.file, self.line) = (file, line)
    }
}

extension MigrationDraft {
    /// Reads files of one kind. The same input gives the same draft.
    ///
    /// - Throws: where a file is not of this kind, is cut off, or cannot be decrypted; single entries that cannot be taken are notes.
    package static func read(
        _ kind: MigrationKind, _ files: [ForeignFile], _ options: MigrationOptions = MigrationOptions()
    ) throws(MigrationError) -> MigrationDraft {
        var draft = MigrationDraft(kind: kind)
        for file in files {
            let text = try ForeignText(file)
            if let charset = text.charset { draft.remark(Place(file.name, 1), "the file", "read as \(charset): it is not UTF-8") }
            switch kind {
            case .freeradius: try FreeRADIUSFile.read(text, into: &draft)
            case .duoAuthproxy: try DuoProxyFile.read(text, into: &draft)
            case .nps: try NPSExport.read(text, into: &draft)
            case .googleAuthenticator: try GoogleAuthenticatorFile.read(text, into: &draft)
            case .pskc: try PSKCFile(isLenient: false, options).read(text, into: &draft)
            case .oathCSV: try TokenTable.readOATH(text, options, into: &draft)
            case .yubikeyCSV: try YubiKeyLog.read(text, options, into: &draft)
            case .privacyidea:
                // Its own exports of PSKC have no MAC at all, and names in lower case.
                if text.startsWithMarkup {
                    try PSKCFile(isLenient: true, options).read(text, into: &draft)
                } else {
                    try TokenTable.readPrivacyIDEA(text, options, into: &draft)
                }
            }
        }
        return draft
    }
}
