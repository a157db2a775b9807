// SPDX-License-Identifier: Apache-2.0
// clients.conf of FreeRADIUS, or any file with `client` sections; and its users file. By what stands in a file it is told which it is.

internal import LoginEngine

enum FreeRADIUSFile {
    static func read(_ text: ForeignText, into draft: inout MigrationDraft) throws(MigrationError) {
        if looksLikeSections(text) {
            try clients(of: FreeRADIUSSection(text), in: text, into: &draft)
        } else {
            try FreeRADIUSUsers.read(text, into: &draft)
        }
    }

    /// A section's opening brace ends a line that begins at its start; nothing in a users file looks like that.
    private static func looksLikeSections(_ text: ForeignText) -> Bool {
        var has = false
        text.eachLine { _, line in
            guard !has else { return }
            let line = Characters.trimmed(line.prefix { $0 != UInt8(ascii: "#") })
            let opens = line.last == UInt8(ascii: "{") || (line.contains(UInt8(ascii: "{")) && line.last == UInt8(ascii: "}"))
            has = opens && !line.contains(UInt8(ascii: ",")) && line.first != UInt8(ascii: "$")
        }
        return has
    }

    // MARK: Clients

    private static func clients(of section: FreeRADIUSSection, in text: ForeignText, into draft: inout MigrationDraft)
        throws(MigrationError)
    {
        for item in section.items where item.key.hasPrefix("$INCLUDE") || item.key.hasPrefix("$-INCLUDE") {
            draft.left(text.place(item.line), Characters.shown(item.key), "included files are not opened; name them beside this one")
        }
        for child in section.sections {
            if child.name == "client" {
                try client(child, in: text, into: &draft)
            } else {
                // Clients of one virtual server stand in its section; `clients NAME { }` is a list of them.
                let before = draft.clients.count + draft.notes.count
                try clients(of: child, in: text, into: &draft)
                if draft.clients.count + draft.notes.count == before {
                    let name = ([child.name] + child.arguments.prefix(1)).joined(separator: " ")
                    draft.left(text.place(child.line), "section \(Characters.shown(name))", "it holds no client")
                }
            }
        }
    }

    /// Keys that have no counterpart, and what stands for them here.
    private static let unneeded: [String: String] = [
        "nas_type": "what product it is: `profile:`", "nastype": "what product it is: `profile:`",
        "virtual_server": "what a client's logins need is said by `require:` and by policies",
        "coa_server": "Disconnect-Requests go to the client itself: `disconnect-port:`",
        "limit_proxy_state": "every request is checked for that here",
        "login": "sessions are learnt by accounting here", "password": "sessions are learnt by accounting here",
    ]
    private static let read: Set<String> = [
        "ipaddr", "ipv4addr", "ipv6addr", "netmask", "secret", "shortname", "require_message_authenticator", "proto",
    ]

    private static func client(_ section: FreeRADIUSSection, in text: ForeignText, into draft: inout MigrationDraft) throws(MigrationError)
    {
        let place = text.place(section.line)
        let argument = section.arguments.first ?? ""
        let isAddress = argument.contains(".") && AddressRange(argument) != nil || argument.contains(":")
        let name = section.values("shortname").last?.value ?? argument
        let what = "client \(Characters.shown(name))"
        for child in section.sections where child.name == "client" {
            draft.left(
                text.place(child.line), "client \(Characters.shown(child.arguments.first ?? ""))",
                "it stands inside another client, which only dynamic clients do")
        }
        let proto = section.values("proto").last?.value ?? "udp"
        guard proto == "udp" || proto == "*" else {
            return draft.left(
                place, what, "it asks over \(Characters.shown(proto)): give it `certificate:` or `psk:` by hand (RADIUS over TLS)")
        }
        var addresses: [AddressRange] = []
        let items = ["ipaddr", "ipv4addr", "ipv6addr"].flatMap(section.values)
        let mask = section.values("netmask").last?.value
        for (value, line) in items.map({ ($0.value ?? "", $0.line) }) + (items.isEmpty && isAddress ? [(argument, section.line)] : []) {
            guard let range = range(value, mask: mask) else {
                return draft.left(
                    text.place(line), what, "what stands there is no address; a client is known by its address here, not by a host name")
            }
            if "\(range)" != value, mask == nil, !value.hasSuffix("/32"), !value.hasSuffix("/128") {
                draft.remark(text.place(line), what, "`\(Characters.shown(value))` means \(range)")
            }
            addresses.append(range)
        }
        guard !addresses.isEmpty else { return draft.left(place, what, "it has no address") }
        guard let secret = section.values("secret").last, let value = secret.value else {
            return draft.left(place, what, "it has no secret")
        }
        var client = MigratedClient(name: "", addresses: addresses, secret: .value(Secret(utf8: value)))
        if value.hasPrefix("$ENV{"), value.hasSuffix("}") {
            client.secret = .variable(String(value.dropFirst(5).dropLast()))
            draft.remark(text.place(secret.line), what, "its secret is read from the environment of `sallyport apply`, as it was there")
        } else if value.contains("${") {
            return draft.left(text.place(secret.line), what, "its secret stands in a variable; write it out, or take the client by hand")
        } else if !secret.isQuoted, value.contains(where: { "#,;{}=\"'\\".contains($0) }) {
            draft.remark(
                text.place(secret.line), what, "its secret has special characters and no quotes; the file's server may read less of it")
        }
        switch section.values("require_message_authenticator").last?.value?.lowercased() {
        case "yes", "true", "on", "1": client.settings.append(("message-authenticator", "require"))
        case "no", "false", "off", "0":
            draft.remark(
                place, what, "require_message_authenticator is off there; here it is `auto`: required once the client has sent one")
        default: break
        }
        guard try draft.take(client, called: name, at: place) else { return }
        for item in section.items where item.value != nil && !read.contains(item.key.lowercased()) {
            draft.left(
                text.place(item.line), "\(Characters.shown(item.key)) of \(what)",
                unneeded[item.key.lowercased()] ?? "it has no counterpart here")
        }
        for child in section.sections where child.name != "client" {
            draft.left(text.place(child.line), "\(Characters.shown(child.name)) of \(what)", "it has no counterpart here")
        }
    }

    /// `192.0.2.7`, `192.0.2.0/24`, an address with a mask beside it; bits beyond the prefix do not count there. `*` is every address.
    static func range(_ text: String, mask: String?) -> AddressRange? {
        if text == "*" { return AddressRange("0.0.0.0/0") }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let first = parts.first, parts.count <= 2, let address = NetworkAddress(first[...]) else { return nil }
        guard let prefix = parts.count == 2 ? parts[1] : mask else { return AddressRange(address) }
        guard let length = Characters.number(prefix), length <= (address.isIPv4 ? 32 : 128) else { return nil }
        var range = AddressRange(address)
        range.prefixLength = length + (address.isIPv4 ? 96 : 0)
        range.base = NetworkAddress(bits: address.bits & range.mask)
        return AddressRange(range.description)
    }
}
