// SPDX-License-Identifier: Apache-2.0
// Addresses of http and https that are settings, and what is read from such a place: one document, bounded in size and time.

import CCURL
import Foundation

/// As somebody wrote it: this host and port are asked, and nothing that an answer names.
struct WebAddress: Sendable, Hashable {
    let text: String

    /// Nobody has a longer one.
    static let longest = 2_048

    /// - Throws: what is wrong with it.
    init(_ text: String) throws(SettingsError) {
        guard let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(), let host = parts.host, !host.isEmpty,
            text.utf8.count <= Self.longest, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { throw SettingsError(description: "must be an address such as http://ca.example.org/devices.crl") }
        guard scheme == "http" || scheme == "https" else {
            throw SettingsError(description: "must begin with http:// or https://, for example http://ca.example.org/devices.crl")
        }
        // It would stand in logs and in what `doctor` prints.
        guard parts.user == nil, parts.password == nil else { throw SettingsError(description: "must hold no user name or password") }
        guard parts.fragment == nil else { throw SettingsError(description: "must hold no part behind #") }
        self.text = text
    }
}

extension WebAddress: CustomStringConvertible {
    var description: String { text }
}

/// Why nothing came, in words for the log.
struct WebProblem: Error, Equatable, CustomStringConvertible {
    let description: String
}

/// One request. It blocks, so it belongs on a thread of its own.
struct WebRequest: Sendable {
    var address: String
    /// What is posted; nil: nothing, it is asked for.
    var body: (bytes: [UInt8], type: String)?
    /// In all, in milliseconds.
    var time = 30_000
    /// Bytes of an answer.
    var largest: Int
    /// Addresses of this host and of its link are not connected to: for what a certificate names, and no setting.
    var refusesInner = false

    init(_ address: String, largest: Int) { (self.address, self.largest) = (address, largest) }

    private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// - Throws: also for what answers with another status than 200, and for a redirect.
    func perform() throws(WebProblem) -> [UInt8] {
        guard Self.isReady else { throw WebProblem(description: "libcurl cannot be used") }
        var fetched = curl_fetched()
        let body = body?.bytes
        if let body {
            body.withUnsafeBufferPointer { bytes in
                curl_fetch(address, bytes.baseAddress, bytes.count, self.body?.type, time, largest, refusesInner, &fetched)
            }
        } else {
            curl_fetch(address, nil, 0, nil, time, largest, refusesInner, &fetched)
        }
        defer { curl_fetched_free(&fetched) }
        if fetched.is_inner { throw WebProblem(description: "it leads to an address of this host or of its link") }
        if fetched.is_too_long || fetched.code == CURLE_FILESIZE_EXCEEDED {
            throw WebProblem(description: "the answer is longer than \(largest) bytes")
        }
        guard fetched.code == CURLE_OK else { throw WebProblem(description: Self.shown(String(cString: curl_fetched_words(&fetched)))) }
        if let elsewhere = fetched.elsewhere {
            throw WebProblem(description: "it leads to \(Self.shown(String(cString: elsewhere))), which is not followed; set that address")
        }
        guard fetched.status == 200 else { throw WebProblem(description: "the answer has the status \(fetched.status)") }
        guard fetched.count > 0, let bytes = fetched.bytes else { throw WebProblem(description: "the answer is empty") }
        return Array(UnsafeBufferPointer(start: bytes, count: fetched.count))
    }

    /// Partly of the server's making: cut, and without what would change how a line looks.
    private static func shown(_ text: String) -> String {
        String(text.unicodeScalars.prefix(256).map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "?" : Character($0) })
    }
}

/// Who is asked whether devices' certificates are revoked, and what is made of silence.
struct StatusRule: Sendable, Equatable {
    enum Responder: Sendable, Equatable {
        case none
        /// The one that each certificate names.
        case certificate
        case address(WebAddress)
    }

    var responder = Responder.none
    /// Who cannot be asked about is let in.
    var acceptsSilence = false
    var wantsNonce = false
}

/// Where the word on the node's own certificate comes from.
enum StapleSource: Sendable, Equatable {
    case certificate
    case address(WebAddress)
    /// Absolute.
    case file(String)
}

extension Settings {
    static func webAddresses(_ text: String) throws(SettingsError) -> [WebAddress] {
        if text == "none" { return [] }
        var all: [WebAddress] = []
        for part in text.split(separator: ",") {
            let address = try WebAddress(String(part.trimmingPrefix { $0 == " " }))
            guard !all.contains(address) else { throw SettingsError(description: "names \(address) twice") }
            all.append(address)
        }
        guard !all.isEmpty else { throw SettingsError(description: "must be none, or addresses separated by commas") }
        return all
    }

    static func responder(_ text: String) throws(SettingsError) -> StatusRule.Responder {
        switch text {
        case "none": .none
        case "certificate": .certificate
        default: .address(try WebAddress(text))
        }
    }

    static func staple(_ text: String) throws(SettingsError) -> StapleSource? {
        switch text {
        case "none": nil
        case "certificate": .certificate
        case let path where path.hasPrefix("/"): .file(path)
        default: .address(try WebAddress(text))
        }
    }
}
