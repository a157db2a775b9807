// SPDX-License-Identifier: Apache-2.0
// authproxy.cfg of the Duo Authentication Proxy: its RADIUS clients, and the RADIUS servers that it asks.

internal import LoginEngine

struct DuoProxyFile {
    struct Section {
        var name: String
        var line: Int
        var values: [(key: String, value: String, line: Int)] = []

        func value(_ key: String) -> (value: String, line: Int)? {
            values.last { $0.key == key && !$0.value.isEmpty }.map { ($0.value, $0.line) }
        }

        /// `radius_server_auto2` is one more `radius_server_auto`.
        var base: String { String(name.reversed().drop { $0.isASCII && $0.isNumber }.reversed()) }

        /// The values of `host`, `host_2`, … or of `radius_ip_1`, `radius_ip_2`, …, by number.
        func numbered(_ stem: String) -> [(number: Int, value: String, line: Int)] {
            values.compactMap { key, value, line in
                if key == stem { return (1, value, line) }
                guard key.hasPrefix(stem + "_"), let number = Characters.number(String(key.dropFirst(stem.count + 1))) else { return nil }
                return (number, value, line)
            }.filter { !$0.value.isEmpty }.sorted { $0.number < $1.number }
        }
    }

    static let servers: Set<String> = [
        "radius_server_auto", "radius_server_concat", "radius_server_challenge", "radius_server_iframe", "radius_server_duo_only",
        "radius_server_eap",
    ]

    static func read(_ text: ForeignText, into draft: inout MigrationDraft) throws(MigrationError) {
        let sections = try sections(text)
        var directories: [String: String] = [:]
        for section in sections where section.base == "radius_client" {
            if let name = directory(section, taking: taken(of: section, sections), text, into: &draft) { directories[section.name] = name }
        }
        for section in sections {
            let place = text.place(section.line)
            switch section.base {
            case "radius_client", "duo_only_client", "main": break
            case let base where servers.contains(base): try server(section, directories, text, into: &draft)
            case "ad_client":
                draft.left(
                    place, "[\(Characters.shown(section.name))]",
                    "passwords of Active Directory are not set up by this: `sallyport directory add`, then `directory:` of its clients"
                )
            case "cloud", "sso": draft.left(place, "[\(Characters.shown(section.name))]", "there is no cloud service here")
            default: draft.left(place, "[\(Characters.shown(section.name))]", "it is nothing of RADIUS")
            }
        }
    }

    /// `[section]`, then `key=value` or `key: value`; an indented line goes on with the value before it.
    private static func sections(_ text: ForeignText) throws(MigrationError) -> [Section] {
        var sections: [Section] = []
        try text.eachLine { number, raw throws(MigrationError) in
            let line = Characters.trimmed(raw)
            guard let first = line.first, first != UInt8(ascii: "#"), first != UInt8(ascii: ";") else { return }
            if first == UInt8(ascii: "[") {
                guard let end = line.firstIndex(of: UInt8(ascii: "]")) else {
                    throw MigrationError(text.place(number), "A section's name has no closing bracket.")
                }
                sections.append(Section(name: Characters.text(line[(line.startIndex + 1)..<end]).lowercased(), line: number))
                return
            }
            guard let last = sections.indices.last else {
                throw MigrationError(
                    text.place(number), "Here should be a section such as [radius_server_auto].", remedy: "Name authproxy.cfg.")
            }
            guard let sign = line.firstIndex(where: { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ":") }) else {
                if let byte = raw.first, Characters.isBlank(byte), let value = sections[last].values.indices.last {
                    sections[last].values[value].value += "\n" + Characters.text(line)
                    return
                }
                throw MigrationError(text.place(number), "Here should be a key, a sign = and a value.", remedy: "Is the file whole?")
            }
            let key = Characters.text(Characters.trimmed(line[..<sign])).lowercased()
            sections[last].values.append((key, Characters.text(Characters.trimmed(line[(sign + 1)...])), number))
        }
        return sections
    }

    /// What the servers that ask this one hand on of its replies.
    private static let handedOn = ["Class", "Filter-Id", "Session-Timeout", "Idle-Timeout", "Framed-IP-Address", "Framed-IP-Netmask"]

    private static func taken(of client: Section, _ sections: [Section]) -> [String] {
        let asking = sections.filter { servers.contains($0.base) && $0.value("client")?.value.lowercased() == client.name }
        let names = asking.flatMap { ($0.value("pass_through_attr_names")?.value ?? "").split(separator: ",").map { $0.lowercased() } }
        let all = asking.contains { ["true", "yes", "1", "on"].contains($0.value("pass_through_all")?.value.lowercased() ?? "") }
        return handedOn.filter { name in all || names.contains { $0.filter { $0 != " " } == name.lowercased() } }
    }

    private static func directory(
        _ section: Section, taking takes: [String], _ text: ForeignText, into draft: inout MigrationDraft
    ) -> String? {
        let place = text.place(section.line)
        let what = "directory \(Characters.shown(section.name))"
        if let hidden = section.value("secret_protected") {
            draft.left(
                text.place(hidden.line), what, "its secret is protected by Windows and cannot be read: add it with its secret by hand")
            return nil
        }
        let secret = Secret(utf8: section.value("secret")?.value ?? "")
        if let complaint = MigrationDraft.complaint(aboutSharedSecret: secret) {
            draft.left(place, what, complaint)
            return nil
        }
        let ports = section.numbered("port")
        let servers = section.numbered("host").compactMap { host -> String? in
            let port = ports.first { $0.number == host.number }.flatMap { Characters.number($0.value) } ?? 1812
            let shown = host.value.contains(":") ? "[\(host.value)]" : host.value
            let server = port == 1812 ? host.value : "\(shown):\(port)"
            guard DirectoryServer(server) != nil else {
                draft.left(text.place(host.line), "server \(Characters.shown(host.value))", "it is neither an address nor a host name")
                return nil
            }
            return server
        }
        guard !servers.isEmpty, servers.count <= DirectorySettings.mostServers else {
            draft.left(place, what, servers.isEmpty ? "it names no server" : "it names more than \(DirectorySettings.mostServers) servers")
            return nil
        }
        var directory = MigratedDirectory(name: section.name.replacing("_", with: "-"), servers: servers, secret: secret, takes: takes)
        if let wait = section.value("retry_wait").flatMap({ Characters.number($0.value) }), (1...30).contains(wait) {
            directory.settings.append(("timeout", "\(wait)s"))
        }
        if let tries = section.value("retries").flatMap({ Characters.number($0.value) }), tries > 0 {
            directory.settings.append(("tries", "\(min(tries, 5))"))
        }
        return draft.take(directory, at: place)
    }

    private static func server(
        _ section: Section, _ directories: [String: String], _ text: ForeignText, into draft: inout MigrationDraft
    ) throws(MigrationError) {
        let place = text.place(section.line)
        let what = "[\(Characters.shown(section.name))]"
        var settings: [(key: String, value: String)] = []
        func number(_ value: String) -> Int { Characters.number(value) ?? 0 }
        let client = section.value("client")?.value.lowercased() ?? ""
        if client == "duo_only_client" || section.base == "radius_server_duo_only" {
            settings.append(("require", "factor"))
        } else {
            settings.append(("require", "password+factor"))
            switch section.base {
            case "radius_server_auto":
                settings.append(("ask", "append+challenge"))
                if let delimiter = section.value("delimiter")?.value, delimiter.count == 1, delimiter != "," {
                    settings.append(("separator", delimiter))
                }
                draft.remark(place, what, "no push is sent by itself: whoever types the password alone is asked for a code")
            case "radius_server_concat": settings += [("ask", "append"), ("separator", "none"), ("fixed-length-tail", "on")]
            case "radius_server_eap": draft.remark(place, what, "methods of EAP are chosen by `eap:`")
            case "radius_server_iframe": draft.remark(place, what, "the code is asked for by a challenge, not on a page of Duo")
            default: break
            }
            if let directory = directories[client] {
                settings.append(("directory", directory))
            } else if !client.isEmpty {
                draft.remark(
                    place, what,
                    "passwords are checked here until its clients get a `directory:`; there they lived at [\(Characters.shown(client))]")
            }
        }
        if section.value("failmode")?.value.lowercased() != "secure" {
            draft.remark(
                place, what, "failmode is safe there, which lets users in without a second factor when Duo is away; that is not done here")
        }
        if let port = section.value("port"), port.value != "1812" {
            draft.remark(
                text.place(port.line), what,
                "it answers on port \(Characters.shown(port.value)) there; set the gateway to this server's port")
        }
        for exempt in section.numbered("exempt_username") {
            draft.left(
                text.place(exempt.line), "exempt user \(Characters.shown(exempt.value)) of \(what)",
                "write a policy for who needs the password alone")
        }
        if section.value("skey") != nil || section.value("skey_protected") != nil {
            draft.left(
                place, "ikey, skey and api_host of \(what)",
                "they are of no use here, and the users' tokens at Duo are not given out: enrol them anew")
        }
        let secrets = section.numbered("radius_secret")
        let hidden = section.numbered("radius_secret_protected")
        for address in section.numbered("radius_ip") {
            let name = "\(section.name.replacing("_", with: "-"))-\(address.number)"
            let line = text.place(address.line)
            guard let ranges = ranges(address.value) else {
                draft.left(line, "client \(name)", "what stands there is no address, range or network")
                continue
            }
            guard let secret = secrets.first(where: { $0.number == address.number }) else {
                let isHidden = hidden.contains { $0.number == address.number }
                draft.left(
                    line, "client \(name)",
                    isHidden ? "its secret is protected by Windows and cannot be read: add it with its secret by hand" : "it has no secret")
                continue
            }
            try draft.take(
                MigratedClient(name: "", addresses: ranges, secret: .value(Secret(utf8: secret.value)), settings: settings), called: name,
                at: line)
        }
    }

    private static let mostRanges = 64

    /// An address, a network, or `10.0.0.1-10.0.0.9`; nil for what is none, or needs too many networks.
    private static func ranges(_ text: String) -> [AddressRange]? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { String($0).filter { $0 != " " } }
        guard ends.count == 2 else { return FreeRADIUSFile.range(text, mask: nil).map { [$0] } }
        guard let first = NetworkAddress(ends[0][...]), let last = NetworkAddress(ends[1][...]), first.isIPv4 == last.isIPv4,
            first.bits <= last.bits
        else { return nil }
        var ranges: [AddressRange] = []
        var next = first.bits
        while true {
            // The largest network that begins here and does not go beyond the end.
            let room = last.bits - next
            var size = min(next.trailingZeroBitCount, first.isIPv4 ? 32 : 127)
            while size > 0, (UInt128(1) << UInt128(size)) - 1 > room { size -= 1 }
            var range = AddressRange(NetworkAddress(bits: next))
            range.prefixLength = 128 - size
            ranges.append(range)
            guard ranges.count <= mostRanges else { return nil }
            let (after, isOver) = next.addingReportingOverflow(UInt128(1) << UInt128(size))
            if isOver || after > last.bits { return ranges }
            next = after
        }
    }
}
