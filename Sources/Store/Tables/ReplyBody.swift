// SPDX-License-Identifier: Apache-2.0
// Reply attributes as JSON, the way client and group keep them: name and value of each, in order.

internal import Foundation
internal import LoginEngine

enum ReplyBody {
    /// Empty for none.
    static func json(_ settings: [ReplySetting]) -> String {
        guard !settings.isEmpty else { return "" }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return (try? encoder.encode(settings.map { [$0.name, $0.value] })).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Nil for what is no such list.
    static func settings(_ json: String) -> [ReplySetting]? {
        if json.isEmpty { return [] }
        guard let pairs = try? JSONDecoder().decode([[String]].self, from: Foundation.Data(json.utf8)),
            pairs.allSatisfy({ $0.count == 2 })
        else { return nil }
        return pairs.map { ReplySetting($0[0], $0[1]) }
    }
}
