// SPDX-License-Identifier: Apache-2.0
// Lists of OATH tokens: a maker's CSV with or without names of columns, and the CSV of privacyIDEA's token janitor.

internal import OTP

enum TokenTable {
    private enum Column {
        case serial, secret, user, kind, digits, period, algorithm, counter
    }

    private static let names: [String: Column] = [
        "serial": .serial, "serialnumber": .serial, "serialno": .serial, "sn": .serial, "tokenserial": .serial,
        "tokenserialnumber": .serial,
        "tokenid": .serial, "secret": .secret, "secretkey": .secret, "seed": .secret, "key": .secret, "otpkey": .secret,
        "secrethex": .secret,
        "secretbase32": .secret, "seedhex": .secret, "upn": .user, "user": .user, "username": .user, "owner": .user, "login": .user,
        "userprincipalname": .user, "type": .kind, "tokentype": .kind, "digits": .digits, "otplen": .digits, "otplength": .digits,
        "codelength": .digits, "timeinterval": .period, "interval": .period, "timestep": .period, "period": .period, "step": .period,
        "algorithm": .algorithm, "hash": .algorithm, "hashlib": .algorithm, "hashfunction": .algorithm, "hashalgorithm": .algorithm,
        "counter": .counter,
    ]

    /// Without names of columns: `serial, secret, type, digits, period, hash`.
    private static let usual: [Column] = [.serial, .secret, .kind, .digits, .period, .algorithm]

    static func readOATH(_ text: ForeignText, _ options: MigrationOptions, into draft: inout MigrationDraft) throws(MigrationError) {
        var columns: [Column?]?
        try DelimitedLines.eachRow(text) { number, fields throws(MigrationError) in
            if columns == nil {
                let named = fields.map { names[$0.lowercased().filter { $0.isLetter || $0.isNumber }] }
                if named.contains(.secret) {
                    columns = named
                    return
                }
                columns = usual
            }
            var values: [Column: String] = [:]
            for (column, field) in zip(columns ?? [], fields) { if let column, !field.isEmpty { values[column] = field } }
            try take(values, text.place(number), options, into: &draft)
        }
    }

    /// `owner, serial, key, type, digits[, period]`, the owner as `login@realm` or `n/a`.
    static func readPrivacyIDEA(_ text: ForeignText, _ options: MigrationOptions, into draft: inout MigrationDraft) throws(MigrationError) {
        let columns: [Column] = [.user, .serial, .secret, .kind, .digits, .period]
        try DelimitedLines.eachRow(text) { number, fields throws(MigrationError) in
            guard fields.count >= 5 else {
                throw MigrationError(
                    text.place(number), "Here should be an owner, a serial number, a key, a type and a length.",
                    remedy: "Export by: pi-tokenjanitor find export --format csv (or pskc); its formats yaml and pi are not read.")
            }
            var values = Dictionary(uniqueKeysWithValues: zip(columns, fields))
            let owner = values[.user] ?? ""
            // Which realm is a matter of the other server; a login name that has an @ itself keeps it.
            values[.user] = owner == "n/a" ? nil : owner.lastIndex(of: "@").map { String(owner[..<$0]) } ?? owner
            try take(values, text.place(number), options, into: &draft)
        }
    }

    /// A key of 80 bits has sixteen characters of Base32, and shorter ones are rare.
    private static let longestShownSerial = 15

    private static func take(
        _ values: [Column: String], _ place: Place, _ options: MigrationOptions, into draft: inout MigrationDraft
    ) throws(MigrationError) {
        let serial = values[.serial] ?? ""
        // In a table whose columns are shifted a key may stand here, which no report shows.
        let isShort = serial.count <= longestShownSerial
        let what = isShort ? "token \(Characters.shown(serial))" : "token \(Characters.shown(String(serial.prefix(4))))…"
        guard let secret = values[.secret] else { return draft.left(place, what, "it has no key") }
        guard let key = key(secret) else { return draft.left(place, what, "its key is neither hexadecimal nor Base32") }
        let kind: MigratedFactor.Kind
        if let word = values[.kind] {
            guard let known = MigratedFactor.Kind(rawValue: word.lowercased()) else {
                return draft.left(place, what, "its type is none that is taken: totp and hotp are")
            }
            kind = known
        } else if let given = options.tokenKind ?? (values[.period] == nil ? values[.counter].map { _ in .hotp } : .totp) {
            kind = given
        } else {
            throw MigrationError(
                place, "The file does not say whether its tokens count by time or by use.", remedy: "Add --type totp or --type hotp.")
        }
        var factor = MigratedFactor(user: options.owners[serial] ?? values[.user] ?? "", kind: kind, label: serial, key: key)
        for (column, name) in [(Column.digits, "length"), (.period, "period"), (.counter, "counter")] {
            guard let text = values[column], text != "None" else { continue }
            guard let number = Characters.number(text) else { return draft.left(place, what, "its \(name) is no number") }
            switch column {
            case .digits: factor.digits = number
            case .period: factor.period = number
            default: factor.counter = kind == .hotp ? Int64(number) : 0
            }
        }
        var remarks: [String] = []
        if let name = values[.algorithm] {
            guard let known = OTPAlgorithm(loosely: name) else {
                return draft.left(place, what, "its hash \(Characters.shown(name)) is none of sha1, sha256 and sha512")
            }
            factor.algorithm = known
        } else if key.count == 32 || key.count == 64 {
            remarks.append("taken as sha1, which its key of \(key.count) bytes may not be made for: try a login")
        }
        if kind == .hotp, values[.counter] == nil {
            remarks.append("its counter is not in the file and taken as 0: one that was used needs `counter` in the table")
        }
        if factor.user.isEmpty { remarks.append("write its user into the table, or name owners by --owners") }
        try draft.take(factor, at: place, remarks.isEmpty ? nil : remarks.joined(separator: "; "))
    }

    /// Hexadecimal where every character could be: a Base32 key of that length without one that could not is not met.
    static func key(_ text: String) -> [UInt8]? {
        let bare = text.filter { $0 != " " && $0 != "-" && $0 != ":" }
        if bare.utf8.count >= 20, let bytes = Characters.hexadecimal(bare) { return bytes }
        return try? Base32.decode(bare)
    }
}

/// The log of Yubico's personalisation tools, in their *traditional* and *Yubico* formats.
enum YubiKeyLog {
    static func read(_ text: ForeignText, _ options: MigrationOptions, into draft: inout MigrationDraft) throws(MigrationError) {
        try DelimitedLines.eachRow(text) { number, fields throws(MigrationError) in
            let place = text.place(number)
            let first = fields[0].lowercased()
            if first == "logging start" || first.hasPrefix("serial") { return }
            if first == "oath-hotp" {
                // type, time, slot, token identifier, -, key, access codes, flags, then the length of a code.
                guard fields.count >= 6 else { throw cut(place) }
                let digits = fields.count > 11 ? Characters.number(fields[11]).flatMap { (6...8).contains($0) ? $0 : nil } : nil
                try take(serial: fields[3], identifier: fields[3], key: fields[5], digits: digits, place, options, into: &draft)
            } else if ["yubico otp", "static password", "static ticket", "scan code"].contains(first)
                || first.hasPrefix("challenge-response")
            {
                draft.left(
                    place, "\(Characters.shown(fields[0])) in slot \(Characters.shown(fields.count > 2 ? fields[2] : "?"))", why(first))
            } else if Characters.number(fields[0]) != nil {
                // serial, public identity, private identity (0 for OATH, empty for a static password), key, access code, time
                guard fields.count >= 4 else { throw cut(place) }
                if fields[2] == "0" {
                    try take(serial: fields[0], identifier: fields[1], key: fields[3], digits: nil, place, options, into: &draft)
                } else {
                    let kind = fields[2].isEmpty ? "static password" : "yubico otp"
                    draft.left(place, "\(kind) of \(fields[0])", why(kind))
                }
            } else {
                throw MigrationError(
                    place, "This is no line of a YubiKey log.",
                    remedy: "Set the log's format to Traditional or Yubico, and write the keys again.")
            }
        }
    }

    private static func why(_ kind: String) -> String {
        kind == "yubico otp"
            ? "codes of Yubico OTP are not accepted yet; OATH-HOTP is" : "it makes no one-time codes that a login could carry"
    }

    private static func cut(_ place: Place) -> MigrationError {
        MigrationError(place, "The line has too few fields.", remedy: "Is the file whole?")
    }

    private static func take(
        serial: String, identifier: String, key text: String, digits: Int?, _ place: Place, _ options: MigrationOptions,
        into draft: inout MigrationDraft
    ) throws(MigrationError) {
        guard let key = Characters.hexadecimal(text), !key.isEmpty else {
            return draft.left(place, "OATH-HOTP \(Characters.shown(serial))", "its key is not hexadecimal")
        }
        var factor = MigratedFactor(user: options.owners[serial] ?? "", kind: .hotp, label: serial, key: key)
        factor.digits = digits ?? 6
        var remarks = ["its counter is taken as 0: one that was used more than a few times needs `counter` in the table"]
        if digits == nil { remarks.append("the log does not say how long its codes are; 6 digits are taken") }
        if !identifier.isEmpty { remarks.append("it may type its identifier before the code, which is refused: switch that off") }
        if factor.user.isEmpty { remarks.append("write its user into the table, or name owners by --owners") }
        try draft.take(factor, at: place, remarks.joined(separator: "; "))
    }
}
