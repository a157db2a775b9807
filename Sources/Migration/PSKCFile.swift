// SPDX-License-Identifier: Apache-2.0
// Portable Symmetric Key Containers (RFC 6030): keys in the clear, or encrypted by a key or a passphrase.

internal import Foundation
internal import LoginEngine
internal import OTP

struct PSKCFile {
    /// Whether keys count that no MAC protects although the file names a method: privacyIDEA writes none.
    let isLenient: Bool
    let options: MigrationOptions

    init(isLenient: Bool, _ options: MigrationOptions) {
        (self.isLenient, self.options) = (isLenient, options)
    }

    func read(_ text: ForeignText, into draft: inout MigrationDraft) throws(MigrationError) {
        let root = try XMLTree.root(text)
        let container = root.name == "keycontainer" ? root : root.all("keycontainer").first
        guard let container else {
            throw MigrationError(
                text.place(root.line), "This is no key container of RFC 6030.", remedy: "Ask the maker of the tokens for a PSKC file.")
        }
        let secrets = try PSKCSecrets(container, isLenient: isLenient, key: options.key, text)
        let packages = container.children.filter { $0.name == "keypackage" }
        for package in packages {
            for key in package.children where key.name == "key" { try take(key, of: package, secrets, text, into: &draft) }
        }
        if packages.isEmpty { draft.left(text.place(container.line), "the container", "it holds no key") }
    }

    private func take(
        _ key: XMLElement, of package: XMLElement, _ secrets: PSKCSecrets, _ text: ForeignText, into draft: inout MigrationDraft
    ) throws(MigrationError) {
        let place = text.place(key.line)
        let serial = package.descend("deviceinfo", "serialno")?.text ?? key.attributes["id"] ?? ""
        let what = "token \(Characters.shown(serial))"
        let algorithm = key.attributes["algorithm"] ?? ""
        guard
            let kind = MigratedFactor.Kind(
                rawValue: algorithm.split(whereSeparator: { ":/#".contains($0) }).last.map { $0.lowercased() } ?? "")
        else { return draft.left(place, what, "its algorithm is \(Characters.shown(algorithm, most: 100)); hotp and totp are taken") }
        let named = key.first("userid")?.text ?? package.descend("deviceinfo", "userid")?.text ?? ""
        var factor = MigratedFactor(user: options.owners[serial] ?? Self.name(in: named), kind: kind, label: serial, key: [])
        var remarks: [String] = []
        let parameters = key.first("algorithmparameters")
        if let format = parameters?.first("responseformat") {
            let encoding = format.attributes["encoding"]?.uppercased() ?? "DECIMAL"
            guard encoding == "DECIMAL" else {
                return draft.left(place, what, "its codes are \(Characters.shown(encoding)), not decimal digits")
            }
            if let length = format.attributes["length"] { factor.digits = Characters.number(length) ?? 0 }
            if format.attributes["checkdigits"] == "true" { return draft.left(place, what, "its codes carry a check digit") }
        }
        if let suite = parameters?.first("suite") {
            let name = suite.attributes["hashalgo"] ?? suite.text
            guard let known = OTPAlgorithm(loosely: name) else {
                return draft.left(place, what, "its suite \(Characters.shown(name)) is none of sha1, sha256 and sha512")
            }
            factor.algorithm = known
        }
        let data = key.first("data")
        switch secrets.value(data?.first("secret"), isLenient: isLenient) {
        case .value(let bytes, let isProven):
            factor.key = bytes
            if !isProven { remarks.append("nothing in the file proves that its key is whole: try a login") }
        case .missing(let why): return draft.left(place, what, why)
        case .wrong(let why): throw MigrationError(place, why, remedy: "Is it the right key or passphrase, and the file as it was made?")
        }
        func number(_ name: String) -> Int?? {
            guard let element = data?.first(name) else { return .some(nil) }
            return element.first("plainvalue").flatMap { Characters.number($0.text) }.map { .some($0) } ?? .none
        }
        if kind == .hotp {
            guard let counter = number("counter") else { return draft.left(place, what, "its counter is encrypted or no number") }
            factor.counter = Int64(counter ?? 0)
        } else if let interval = number("timeinterval") {
            if let interval, interval > 0 { factor.period = interval }
        } else {
            return draft.left(place, what, "its time interval is encrypted or no number")
        }
        if let drift = number("timedrift"), let drift, drift != 0, kind == .totp {
            remarks.append("its clock's drift is learnt again at the first login")
        }
        if let policy = key.first("policy"), policy.first("expirydate") != nil || policy.first("startdate") != nil {
            remarks.append("it has dates of validity, which are not taken over")
        }
        if factor.user.isEmpty { remarks.append("write its user into the table, or name owners by --owners") }
        try draft.take(factor, at: place, remarks.isEmpty ? nil : remarks.joined(separator: "; "))
    }

    /// Of a distinguished name (RFC 4514), its UID or CN; any other text as it is.
    static func name(in text: String) -> String {
        let parts = text.split(separator: ",").map { part in
            part.split(separator: "=", maxSplits: 1).map { String($0).trimmingCharacters(in: .whitespaces) }
        }
        guard parts.allSatisfy({ $0.count == 2 }) else { return text }
        for type in ["uid", "cn"] {
            if let part = parts.first(where: { $0[0].lowercased() == type }) { return part[1] }
        }
        return text
    }
}
