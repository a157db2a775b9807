// SPDX-License-Identifier: Apache-2.0
// What stands in a property list (Apple's XML). Encoded by Swift's own encoder: the other one, which takes any object, knows no types of
// Swift where the program is linked without shared libraries.

internal import Foundation

enum PropertyListValue: Encodable {
    case text(String)
    case number(Int)
    case bytes([UInt8])
    case list([PropertyListValue])
    case table([String: PropertyListValue])

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .text(let text): try container.encode(text)
        case .number(let number): try container.encode(number)
        case .bytes(let bytes): try container.encode(Data(bytes))
        case .list(let values): try container.encode(values)
        case .table(let values): try container.encode(values)
        }
    }

    /// XML.
    func written() throws -> [UInt8] {
        let encoder = PropertyListEncoder()
        encoder.outputFormat = .xml
        return Array(try encoder.encode(self))
    }
}

extension PropertyListValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    init(stringLiteral value: String) { self = .text(value) }
    init(integerLiteral value: Int) { self = .number(value) }
    init(arrayLiteral elements: PropertyListValue...) { self = .list(elements) }
    init(dictionaryLiteral elements: (String, PropertyListValue)...) { self = .table(Dictionary(elements) { $1 }) }
}
