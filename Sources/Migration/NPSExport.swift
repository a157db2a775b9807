// SPDX-License-Identifier: Apache-2.0
// The XML of `netsh nps export` (Microsoft's Network Policy Server): its RADIUS clients; policies are named, to be written by hand.

internal import LoginEngine

enum NPSExport {
    static func read(_ text: ForeignText, into draft: inout MigrationDraft) throws(MigrationError) {
        let root = try XMLTree.root(text)
        guard root.name == "root", root.descend("children", "microsoft_internet_authentication_service") != nil else {
            throw MigrationError(
                text.place(root.line), "This is no export of a Network Policy Server.",
                remedy: "Export it by: netsh nps export filename=\"nps.xml\" exportPSK=YES")
        }
        for list in root.all("clients") {
            for element in list.first("children")?.children ?? [] { try client(element, text, into: &draft) }
        }
        for (name, kind) in [("proxy_policies", "connection request policy"), ("networkpolicy", "network policy")] {
            for list in root.all(name) {
                for element in list.first("children")?.children ?? [] { policy(element, kind, text, into: &draft) }
            }
        }
        for list in root.all("radius_server_groups") {
            for group in list.first("children")?.children ?? [] {
                draft.left(
                    text.place(group.line), "remote RADIUS server group \(Self.name(of: group))",
                    "add its servers by `sallyport directory add`: their secrets are not in the export")
            }
        }
    }

    /// The attribute has the name as it was typed; the element's own is one that XML can have.
    private static func name(of element: XMLElement) -> String { Characters.shown(element.attributes["name"] ?? element.name) }

    private static func client(_ element: XMLElement, _ text: ForeignText, into draft: inout MigrationDraft) throws(MigrationError) {
        guard let properties = element.first("properties") else { return }
        let name = element.attributes["name"] ?? element.name
        let what = "client \(Characters.shown(name))"
        let place = text.place(element.line)
        func value(_ key: String) -> String { properties.first(key)?.text ?? "" }
        guard let range = FreeRADIUSFile.range(value("ip_address"), mask: nil) else {
            return draft.left(
                place, what, "its ip_address is no address; a client is known by its address here, not by a host name")
        }
        // Blanks at its ends are part of a secret, though not one that is taken.
        let secret = properties.first("shared_secret")?.ownText ?? ""
        guard !secret.isEmpty else {
            let template = value("client_secret_template_guid").filter { $0 != "{" && $0 != "}" && $0 != "0" && $0 != "-" }
            return draft.left(
                place, what,
                template.isEmpty
                    ? "its secret is not in the export: it needs exportPSK=YES"
                    : "its secret comes from a template: look it up, and add the client by hand")
        }
        var client = MigratedClient(name: "", addresses: [range], secret: .value(Secret(utf8: secret)))
        if value("require_signature") == "1" { client.settings.append(("message-authenticator", "require")) }
        if value("radius_client_enabled") == "0" { client.settings.append(("enabled", "off")) }
        guard try draft.take(client, called: name, at: place) else { return }
        if !["", "0"].contains(value("nas_manufacturer")) {
            draft.left(place, "the vendor of \(what)", "what product it is, is said by `profile:`")
        }
    }

    private static func policy(_ element: XMLElement, _ kind: String, _ text: ForeignText, into draft: inout MigrationDraft) {
        let properties = element.first("properties")
        let conditions = (properties?.children ?? []).filter { $0.name == "msnpconstraint" }.map { Characters.shown($0.text, most: 100) }
        let isOff = properties?.first("policy_enabled")?.text == "0"
        let order = properties?.first("msnpsequence").map { ", number \(Characters.shown($0.text, most: 12))" } ?? ""
        draft.left(
            text.place(element.line), "\(kind) \(name(of: element))\(order)\(isOff ? ", switched off" : "")",
            "write it as a policy; it holds where \(conditions.isEmpty ? "nothing else is said" : conditions.joined(separator: " and "))")
    }
}
