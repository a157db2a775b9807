// SPDX-License-Identifier: Apache-2.0
// How a typed name becomes the key that users are found by, step by step, for whoever asks why somebody was not found.

internal import Foundation

extension UserName {
    package struct Step: Sendable, Equatable {
        package enum Kind: String, Sendable {
            case domain
            case realm
            /// Characters that are other ways to write the same ones: NFKC.
            case form
            case letters = "case"
            case blanks
        }

        package var kind: Kind
        package var dropped: String
        /// What is left after it.
        package var rest: String
    }

    package enum Problem: String, Sendable {
        case tooLong = "too-long"
        case empty
        case control = "control-character"
    }

    package struct Reading: Sendable, Equatable {
        /// Those that changed something.
        package var steps: [Step] = []
        package var key: String?
        /// Why there is no key.
        package var problem: Problem?
    }

    package static func reading(of name: String, stripping: NameStripping = .none) -> Reading {
        var reading = Reading(key: key(of: name, stripping: stripping))
        guard name.utf8.count <= longest else {
            reading.problem = .tooLong
            return reading
        }
        var rest = name
        func take(_ kind: Step.Kind, _ next: String, dropped: String = "") {
            guard !next.unicodeScalars.elementsEqual(rest.unicodeScalars) else { return }
            reading.steps.append(Step(kind: kind, dropped: dropped, rest: next))
            rest = next
        }
        let undomained = withoutDomain(rest[...], stripping)
        take(.domain, String(undomained), dropped: String(rest.prefix(rest.count - undomained.count)))
        let bare = withoutRealm(rest[...], stripping)
        take(.realm, String(bare), dropped: String(rest.suffix(rest.count - bare.count)))
        take(.form, rest.precomposedStringWithCompatibilityMapping)
        take(.letters, rest.lowercased().precomposedStringWithCompatibilityMapping)
        take(.blanks, rest.trimmingCharacters(in: .whitespaces))
        guard reading.key == nil else { return reading }
        reading.problem = rest.isEmpty ? .empty : rest.utf8.count > longest ? .tooLong : .control
        return reading
    }

    static func withoutDomain(_ name: Substring, _ stripping: NameStripping) -> Substring {
        guard stripping == .domain || stripping == .both, let slash = name.firstIndex(of: "\\") else { return name }
        return name[name.index(after: slash)...]
    }

    static func withoutRealm(_ name: Substring, _ stripping: NameStripping) -> Substring {
        guard stripping == .realm || stripping == .both, let at = name.lastIndex(of: "@") else { return name }
        return name[..<at]
    }
}
