// SPDX-License-Identifier: Apache-2.0
// What goes out with an accept, as administrators write it: a name, and a text with places for what only the login tells.

/// One attribute of an accept: `Session-Timeout` and `28800`, `Tunnel-Type:1` and `VLAN`, `group` and `vpn-staff`.
package struct ReplySetting: Sendable, Equatable, Hashable, Codable {
    /// An attribute's name, with its tag behind a colon; or `group`, which is the attribute that the client's product reads groups from.
    package var name: String
    package var value: String

    /// The name that stands for the group attribute of each product.
    package static let group = "group"

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// What a login tells to the places of a text.
package struct ReplyFacts: Sendable, Equatable {
    package var client: String
    package var policy: String?
    /// The group that the policy was chosen by, else the first of the user's by name.
    package var group: String?
    /// All of the user's, nested ones too, by name.
    package var groups: [String]

    package init(client: String, policy: String? = nil, group: String? = nil, groups: [String] = []) {
        self.client = client
        self.policy = policy
        self.group = group
        self.groups = groups
    }
}

/// A text with places such as `{user.name}`; `{{` and `}}` stand for the braces themselves.
package struct ReplyText: Sendable, Equatable {
    package enum Place: String, Sendable, CaseIterable {
        case userName = "user.name"
        case group
        case groups
        case client
        case policy
        /// The Session-Timeout of the same answer.
        case sessionTimeout = "session-timeout"
    }

    package enum Problem: Error, Sendable, Equatable {
        case unknownPlace(String)
        /// A brace that opens or closes nothing.
        case looseBrace
    }

    package enum Piece: Sendable, Equatable {
        case text(String)
        case place(Place)
    }

    package private(set) var pieces: [Piece] = []

    package init(_ text: String) throws(Problem) {
        var rest = text[...]
        var plain = ""
        while let brace = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
            plain += rest[..<brace]
            let next = rest.index(after: brace)
            if next < rest.endIndex, rest[next] == rest[brace] {
                plain.append(rest[brace])
                rest = rest[rest.index(after: next)...]
                continue
            }
            guard rest[brace] == "{", let end = rest[next...].firstIndex(of: "}") else { throw .looseBrace }
            guard let place = Place(rawValue: String(rest[next..<end])) else { throw .unknownPlace(String(rest[next..<end])) }
            if !plain.isEmpty { pieces.append(.text(plain)) }
            plain = ""
            pieces.append(.place(place))
            rest = rest[rest.index(after: end)...]
        }
        plain += rest
        if !plain.isEmpty { pieces.append(.text(plain)) }
    }

    /// The text where nothing has to be filled in.
    package var fixed: String? {
        switch pieces.count {
        case 0: ""
        case 1: if case .text(let text) = pieces[0] { text } else { nil }
        default: nil
        }
    }

    package var wantsGroups: Bool { pieces.contains(.place(.group)) || pieces.contains(.place(.groups)) }

    /// - Throws: the place that nothing is known for.
    package func filled(user: String, _ facts: ReplyFacts, sessionTimeout: String?) throws(ReplyText.Missing) -> String {
        var text = ""
        for piece in pieces {
            switch piece {
            case .text(let plain): text += plain
            case .place(let place):
                let value: String? =
                    switch place {
                    case .userName: user
                    case .group: facts.group
                    case .groups: facts.groups.isEmpty ? nil : facts.groups.joined(separator: ";")
                    case .client: facts.client
                    case .policy: facts.policy
                    case .sessionTimeout: sessionTimeout
                    }
                guard let value else { throw Missing(place: place) }
                text += value
            }
        }
        return text
    }

    package struct Missing: Error, Sendable, Equatable {
        package var place: Place
    }
}
