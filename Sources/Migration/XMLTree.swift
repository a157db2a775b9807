// SPDX-License-Identifier: Apache-2.0
// XML as a tree, read by libxml2's pull parser with everything off that looks beyond the file or makes more of it than it holds.

internal import CXMLReader

/// An element with its children. Names are without prefix, in lower case: exporters do not agree on either.
final class XMLElement {
    let name: String
    /// By name in lower case, without prefix.
    let attributes: [String: String]
    let line: Int
    fileprivate(set) var children: [XMLElement] = []
    fileprivate(set) var ownText = ""

    init(name: String, attributes: [String: String], line: Int) {
        (self.name, self.attributes, self.line) = (name, attributes, line)
    }

    /// Deeper than any of the formats.
    static let deepest = 64
    static let mostElements = 2_000_000

    func first(_ name: String) -> XMLElement? { children.first { $0.name == name } }

    /// A path of children; nil where one is missing.
    func descend(_ path: String...) -> XMLElement? {
        path.reduce(Optional(self)) { $0?.first($1) }
    }

    /// Its own characters without blanks around them.
    var text: String {
        String(ownText.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }

    /// Every element below with this name, in order.
    func all(_ name: String) -> [XMLElement] {
        children.flatMap { ($0.name == name ? [$0] : []) + $0.all(name) }
    }
}

enum XMLTree {
    /// The root of a document.
    ///
    /// - Throws: for what is not well-formed, and for any document type declaration: with it entities begin, which name files and
    ///   grow without end.
    static func root(_ text: ForeignText) throws(MigrationError) -> XMLElement {
        try refuseDeclarations(text)
        let body = withoutDeclaration(text.bytes)
        // The reader reads from the array while it lives.
        return try withExtendedLifetime(body) { () throws(MigrationError) -> XMLElement in
            let opened = unsafe body.withUnsafeBytes { buffer in
                unsafe buffer.baseAddress.flatMap { unsafe xml_pull_open($0, CInt(buffer.count)) }
            }
            guard let reader = unsafe opened else { throw unreadable(text.place(1)) }
            defer { unsafe xml_pull_close(reader) }
            return try unsafe tree(reader, text)
        }
    }

    private static func tree(_ reader: OpaquePointer, _ text: ForeignText) throws(MigrationError) -> XMLElement {
        var root: XMLElement?
        var open: [XMLElement] = []
        var count = 0
        while true {
            let event = unsafe xml_pull_next(reader)
            let line = max(1, Int(unsafe xml_pull_line(reader)))
            switch event {
            case XML_PULL_OPENED:
                count += 1
                guard open.count < XMLElement.deepest, count <= XMLElement.mostElements else {
                    throw MigrationError(text.place(line), "The file is nested too deeply, or has too many elements.")
                }
                let isEmpty = unsafe xml_pull_is_empty(reader) == 1
                let name = unsafe String(cString: xml_pull_name(reader)).lowercased()
                let element = unsafe XMLElement(name: name, attributes: attributes(reader), line: line)
                open.last?.children.append(element)
                if open.isEmpty { root = root ?? element }
                if !isEmpty { open.append(element) }
            case XML_PULL_CLOSED: _ = open.popLast()
            case XML_PULL_TEXT: unsafe open.last?.ownText += String(cString: xml_pull_value(reader))
            case XML_PULL_DECLARED: throw declared(text.place(line))
            case XML_PULL_OTHER: break
            case XML_PULL_ENDED:
                guard open.isEmpty, let root else { throw unreadable(text.place(line)) }
                return root
            default: throw unreadable(text.place(line))
            }
        }
    }

    private static func attributes(_ reader: OpaquePointer) -> [String: String] {
        var attributes: [String: String] = [:]
        while unsafe xml_pull_attribute(reader) == 1 {
            let name = unsafe String(cString: xml_pull_name(reader)).lowercased()
            attributes[name] = unsafe String(cString: xml_pull_value(reader))
        }
        return attributes
    }

    private static func unreadable(_ place: Place) -> MigrationError {
        MigrationError(place, "The file is not well-formed XML, or ends too early.", remedy: "Is it whole? Export it again.")
    }

    private static func declared(_ place: Place) -> MigrationError {
        MigrationError(
            place, "The file has a document type declaration, which none of these formats needs and which can reach for other files.",
            remedy: "Take it out, or export the file again.")
    }

    /// Before any parser sees it, and wherever it stands.
    private static func refuseDeclarations(_ text: ForeignText) throws(MigrationError) {
        try text.eachLine { number, line throws(MigrationError) in
            var rest = line
            while let start = rest.firstIndex(of: UInt8(ascii: "<")) {
                rest = rest[(start + 1)...]
                guard rest.first == UInt8(ascii: "!") else { continue }
                let word = String(decoding: rest.dropFirst().prefix(8), as: UTF8.self).uppercased()
                if word.hasPrefix("DOCTYPE") || word.hasPrefix("ENTITY") || word.hasPrefix("ELEMENT") || word.hasPrefix("ATTLIST") {
                    throw declared(text.place(number))
                }
            }
        }
    }

    /// `<?xml … ?>` names a charset that the text is not in any more. Its line's end stays.
    private static func withoutDeclaration(_ bytes: [UInt8]) -> [UInt8] {
        guard let start = bytes.firstIndex(of: UInt8(ascii: "<")), bytes[start...].starts(with: Array("<?xml".utf8)),
            let end = bytes[start...].firstIndex(of: UInt8(ascii: ">"))
        else { return bytes }
        return Array(bytes[(end + 1)...])
    }
}
