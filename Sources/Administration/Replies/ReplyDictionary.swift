// SPDX-License-Identifier: Apache-2.0
// Which attributes may go out with an accept, and what their values look like, by the dictionaries that the node has read.

package import LoginEngine
package import RADIUS

package struct ReplyDictionary: ReplyEncoder {
    package let attributes: AttributeDictionary

    package init(_ attributes: AttributeDictionary = .builtIn) {
        self.attributes = attributes
    }

    /// An attribute as it is named in settings.
    struct Named {
        var name: String
        var oid: AttributeOID
        var tag: UInt8?
        /// Nil for numbers that no dictionary knows: octets.
        var definition: AttributeDefinition?
    }

    enum NameProblem: Error {
        case unknown(String)
        case tag
        case container
        case reserved
        case hidden
    }

    /// What the server makes by itself, or what only requests carry: RFC 2865 §5.44, RFC 3579 §3.3, RFC 2548 §2.
    private static let reservedTypes: Set<UInt32> = [2, 3, 24, 26, 33, 60, 70, 79, 80, 101]
    private static let reservedOfMicrosoft: Set<UInt32> = [1, 2, 3, 4, 5, 6, 10, 11, 12, 16, 17, 19, 20, 25, 26, 27]

    func named(_ text: String) throws(NameProblem) -> Named {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let name = parts.first ?? ""
        let named: Named
        if let definition = attributes[name: name] {
            named = Named(name: definition.name, oid: definition.oid, definition: definition)
        } else if let oid = AttributeOID(name) {
            named = Named(name: attributes.name(of: oid), oid: oid, definition: attributes[oid])
        } else {
            throw .unknown(String(name))
        }
        var result = named
        if parts.count == 2 {
            guard let tag = UInt8(parts[1]), (1...31).contains(tag), named.definition?.isTagged == true else { throw .tag }
            result.tag = tag
            result.name += ":\(tag)"
        }
        let numbers = named.oid.numbers
        if numbers.count == 1, Self.reservedTypes.contains(numbers[0]) { throw .reserved }
        if numbers.count == 3, numbers[0] == 26, numbers[1] == 311, Self.reservedOfMicrosoft.contains(numbers[2]) { throw .reserved }
        if named.definition?.hiding != nil { throw .hidden }
        switch named.definition?.kind {
        case .nested, .vendor, .extended, .longExtended, .extendedVendor: throw .container
        default: return result
        }
    }

    // MARK: ReplyEncoder

    package func identity(of name: String) -> String? { (try? named(name))?.oid.description }

    package func encode(_ name: String, _ value: String) -> [UInt8]? {
        guard let named = try? named(name) else { return nil }
        return try? encode(named, value)
    }

    func encode(_ named: Named, _ value: String) throws(AttributeError) -> [UInt8] {
        let decoded: AttributeValue
        if let definition = named.definition {
            decoded = try attributes.value(value, for: definition)
        } else {
            let octets = AttributeDefinition(name: named.name, oid: named.oid, kind: .octets)
            decoded = try attributes.value(value, for: octets)
        }
        return try attributes.encode(DecodedAttribute(named.oid, tag: named.tag, decoded))
    }
}

// MARK: What administrators give

extension ReplyDictionary {
    static let mostSettings = 64
    /// Stands in for the group attributes, which differ from product to product; a vendor's text is the shortest of them.
    private static let anyGroupAttribute = "Fortinet-Group-Name"

    /// The settings with their names as the dictionary writes them.
    ///
    /// - Throws: the first that cannot go out, with what to do.
    package func checked(_ settings: [ReplySetting]) throws(Refusal) -> [ReplySetting] {
        guard settings.count <= Self.mostSettings else {
            throw Refusal(.invalid, "There are more than \(Self.mostSettings) reply attributes.", remedy: "Take some away.", place: "reply")
        }
        var checked: [ReplySetting] = []
        var size = 0
        for setting in settings {
            let name = Valid.trimmed(setting.name)
            guard Valid.isPrintable(setting.value) else { throw Self.refusal(name, "the value holds a control character") }
            let isGroup = name.lowercased() == ReplySetting.group
            let named = try attribute(isGroup ? Self.anyGroupAttribute : name)
            checked.append(ReplySetting(isGroup ? ReplySetting.group : named.name, setting.value))
            guard let fixed = try text(setting.value, name).fixed else { continue }
            if fixed.isEmpty { throw Self.refusal(name, "the value is empty", remedy: "Leave the attribute out to send none.") }
            do throws(AttributeError) {
                size += try encode(named, fixed).count
            } catch {
                var remedy: String?
                if case .notUnderstood = error, let definition = named.definition {
                    let known = attributes.valueNames(for: definition.oid)
                    let near = NearNames.nearest(to: fixed, among: known)
                    remedy = near.isEmpty ? known.isEmpty ? nil : "Or one of its names, such as \(known[0])." : NearNames.question(near)
                }
                throw Self.refusal(name, error.description, remedy: remedy)
            }
        }
        guard size <= ReplyPlan.mostBytes else {
            throw Refusal(
                .invalid, "The reply attributes have \(size) bytes together; \(ReplyPlan.mostBytes) fit into an answer.",
                remedy: "Take some away, or shorten them.", place: "reply")
        }
        return checked
    }

    private func attribute(_ name: String) throws(Refusal) -> Named {
        do throws(NameProblem) {
            return try named(name)
        } catch {
            switch error {
            case .unknown(let unknown):
                let near = NearNames.nearest(to: unknown, among: attributes.names + [ReplySetting.group])
                throw Refusal(
                    .invalid, "No attribute `\(Valid.shown(unknown))`.",
                    remedy: near.isEmpty
                        ? "Take a name from docs/run/reply-attributes.md or from a dictionary of yours, or numbers such as 26.9.1."
                        : NearNames.question(near), place: "reply")
            case .tag:
                throw Self.refusal(
                    name, "the tag behind the colon does not fit", remedy: "Only Tunnel attributes take one, from 1 to 31: Tunnel-Type:1.")
            case .container: throw Self.refusal(name, "it only holds others", remedy: "Set the attributes inside it.")
            case .reserved: throw Self.refusal(name, "the server sets it by itself, or never sends it")
            case .hidden:
                throw Self.refusal(name, "it goes out hidden with the shared secret, and would stand readable in the settings")
            }
        }
    }

    private func text(_ value: String, _ name: String) throws(Refusal) -> ReplyText {
        do throws(ReplyText.Problem) {
            return try ReplyText(value)
        } catch {
            let places = ReplyText.Place.allCases.map { "{\($0.rawValue)}" }
            switch error {
            case .unknownPlace(let place):
                let near = NearNames.nearest(to: place, among: ReplyText.Place.allCases.map(\.rawValue))
                throw Self.refusal(
                    name, "nothing is known for {\(Valid.shown(place))}",
                    remedy: near.isEmpty ? "Take \(Words.list(places, "or"))." : NearNames.question(near.map { "{\($0)}" }))
            case .looseBrace:
                throw Self.refusal(
                    name, "a brace has no partner", remedy: "Take \(Words.list(places, "or")); a brace itself is written twice.")
            }
        }
    }

    private static func refusal(_ name: String, _ what: String, remedy: String? = nil) -> Refusal {
        Refusal(.invalid, "\(Valid.shown(name)): \(what).", remedy: remedy, place: "reply")
    }
}

extension [ReplySetting] {
    /// `Class = staff, Session-Timeout = 3600`
    var words: String { isEmpty ? "none" : map { "\($0.name) = \($0.value)" }.joined(separator: ", ") }
}
