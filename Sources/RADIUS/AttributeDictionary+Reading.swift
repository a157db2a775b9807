// SPDX-License-Identifier: Apache-2.0
// Reads dictionary files in the format of FreeRADIUS 3. Files come from administrators and vendors, so every size has a bound.

extension AttributeDictionary {
    /// No name of any vendor is longer than half of this.
    public static let maximumNameLength = 128
    /// A megabyte: the largest file of FreeRADIUS has 100 KB.
    public static let maximumFileLength = 1 << 20
    /// FreeRADIUS itself includes 224 files.
    public static let maximumFileCount = 1_000
    /// FreeRADIUS has 8,600 attributes and 9,500 names of values in all.
    public static let maximumEntryCount = 50_000
    /// `dictionary` includes `dictionary.vendor`, which may include its parts.
    public static let maximumIncludeDepth = 8

    /// Adds what a file says; a later definition takes over the number of an earlier one.
    ///
    /// - Parameters:
    ///   - file: what errors call it.
    ///   - include: gives the text of a file beside this one, by its name without any folder; nil when it cannot be read.
    /// - Throws: the first mistake with its file and line; the dictionary is then as it was before.
    public mutating func read(
        _ text: String, named file: String, include: (String) -> String? = { _ in nil }
    ) throws(DictionaryError) {
        var reader = DictionaryReader(dictionary: self)
        try reader.read(text, named: file, include: include)
        try reader.finish()
        self = reader.dictionary
    }
}

private struct DictionaryReader {
    var dictionary: AttributeDictionary
    private var entries = 0
    private var files: [(name: String, id: Int)] = []
    private var fileCount = 0
    /// What lines outside of blocks are inside of: the vendor, an extended vendor, nested values.
    private var blocks: [Block] = []
    /// Values may be named before their attribute is defined.
    private var pending: [PendingValue] = []
    /// Attributes of FreeRADIUS's own that no packet carries.
    private var unsent: Set<String> = []
    private var line = 0

    private struct Block {
        var name: String
        var prefix: [UInt32]
        var isVendor: Bool
        var file: Int
    }

    private struct PendingValue {
        var attribute: String
        var name: String
        var number: UInt64
        var file: String
        var line: Int
    }

    init(dictionary: AttributeDictionary) {
        self.dictionary = dictionary
    }

    private var file: String { files.last?.name ?? "" }
    private var fileID: Int { files.last?.id ?? 0 }

    private func problem(_ problem: DictionaryError.Problem) -> DictionaryError {
        DictionaryError(file: file, line: line, problem: problem)
    }

    mutating func read(_ text: String, named name: String, include: (String) -> String?) throws(DictionaryError) {
        fileCount += 1
        files.append((name, fileCount))
        line = 0
        guard fileCount <= AttributeDictionary.maximumFileCount else {
            throw problem(.tooMuch("files", limit: AttributeDictionary.maximumFileCount))
        }
        guard text.utf8.count <= AttributeDictionary.maximumFileLength else {
            throw problem(.tooMuch("bytes", limit: AttributeDictionary.maximumFileLength))
        }
        // A vertical tab or U+2028 ends no line here; a byte order mark and CRLF are left by some editors.
        let text = text.unicodeScalars.first == "\u{FEFF}" ? text.utf8.dropFirst(3) : text.utf8[...]
        for row in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            line += 1
            let code = row.prefix { $0 != UInt8(ascii: "#") }
            let words = code.split { $0 <= 0x20 }.map { Substring($0) }
            guard let first = words.first else { continue }
            try read(first.uppercased(), words, include)
        }
        if let open = blocks.last, open.file == fileID { throw problem(.blockNotClosed(open.name)) }
        files.removeLast()
    }

    /// Names the values whose attributes are known by now.
    mutating func finish() throws(DictionaryError) {
        for value in pending where !unsent.contains(value.attribute.lowercased()) {
            let error = { DictionaryError(file: value.file, line: value.line, problem: $0) }
            guard let definition = dictionary[name: value.attribute] else { throw error(.attributeUnknown(value.attribute)) }
            // FreeRADIUS reads names for parts of bytes, and nobody can use them.
            if definition.kind == .octets { continue }
            guard definition.kind.isNumber else { throw error(.valueOfText(value.attribute)) }
            guard dictionary.insert(value: value.name, value.number, for: definition.oid) else { throw error(.valueTaken(value.name)) }
        }
    }

    private mutating func read(_ word: String, _ words: [Substring], _ include: (String) -> String?) throws(DictionaryError) {
        switch word {
        case "ATTRIBUTE": try readAttribute(words)
        case "VALUE": try readValue(words)
        case "VENDOR": try readVendor(words)
        case "BEGIN-VENDOR": try beginVendor(words)
        case "BEGIN-TLV": try beginNested(words)
        case "END-VENDOR": try end(words, isVendor: true)
        case "END-TLV": try end(words, isVendor: false)
        case "$INCLUDE": try readIncluded(words, include)
        default: throw problem(.unknownWord(shown(words[0])))
        }
    }

    private mutating func count() throws(DictionaryError) {
        entries += 1
        guard entries <= AttributeDictionary.maximumEntryCount else {
            throw problem(.tooMuch("attributes and values", limit: AttributeDictionary.maximumEntryCount))
        }
    }

    // MARK: Lines

    private mutating func readAttribute(_ words: [Substring]) throws(DictionaryError) {
        guard words.count >= 4 else { throw problem(.words(expected: "ATTRIBUTE name number type [flags]")) }
        try count()
        let name = try checked(words[1])
        let numbers = try path(words[2])
        let (kind, length) = try kind(words[3])
        let oid = AttributeOID((blocks.last?.prefix ?? []) + numbers)
        // FreeRADIUS keeps its own attributes above those that a packet can carry, and Ascend used numbers that RFC 6929 has since.
        if blocks.isEmpty, let first = numbers.first, first > 255 || numbers.count == 1 && (241...246) ~= first && !kind.isContainer {
            unsent.insert(name.lowercased())
            return
        }
        try check(oid, kind, words[2])
        var definition = AttributeDefinition(name: name, oid: oid, kind: kind, fixedLength: length)
        for flag in words[4...].joined(separator: ",").split(separator: ",") { try apply(flag, to: &definition) }
        guard dictionary.insert(definition) else {
            throw problem(.nameTaken(name, by: dictionary[name: name]?.oid ?? oid))
        }
    }

    /// The numbers must fit their fields, and whatever is around them must be able to hold them.
    private func check(_ oid: AttributeOID, _ kind: AttributeKind, _ text: Substring) throws(DictionaryError) {
        guard oid.numbers.count <= AttributeOID.maximumDepth else {
            throw problem(.tooMuch("dots", limit: AttributeOID.maximumDepth - 1))
        }
        switch kind {
        case .vendor:
            guard oid.numbers == [26] else { throw problem(.number(shown(text))) }
            return
        case .extended, .longExtended:
            guard oid.numbers.count == 1, let number = oid.numbers.first, kind == .extended ? (241...244) ~= number : (245...246) ~= number
            else { throw problem(.number(shown(text))) }
            return
        case .extendedVendor:
            guard oid.numbers.count == 2, (241...246) ~= oid.numbers[0], oid.numbers[1] == 26 else { throw problem(.number(shown(text))) }
            return
        default:
            break
        }
        guard let place = oid.place, oid.numbers[0] > 0 else { throw problem(.numberTooLarge(shown(text), limit: 255)) }
        if case .vendor(let vendor, let type) = place.outer {
            guard let known = dictionary.vendor(vendor) else { throw problem(.vendorUnknown(String(vendor))) }
            let limit: UInt32 = known.typeLength == 1 ? 0xFF : known.typeLength == 2 ? 0xFFFF : .max
            guard type <= limit else { throw problem(.numberTooLarge(shown(text), limit: limit)) }
        }
        if !place.inner.isEmpty, let parent = oid.parent {
            guard dictionary[parent]?.kind == .nested else { throw problem(.noParent(oid)) }
            guard place.inner.allSatisfy({ $0 > 0 }) else { throw problem(.number(shown(text))) }
        }
        switch place.outer {
        case .extended, .extendedVendor:
            let around = AttributeOID(Array(oid.numbers.prefix(place.outer.depthOfContainer)))
            guard dictionary[around]?.kind.isContainer == true else { throw problem(.noParent(oid)) }
        case .standard, .vendor: break
        }
    }

    private func apply(_ flag: Substring, to definition: inout AttributeDefinition) throws(DictionaryError) {
        let bytes = definition.kind == .text || definition.kind == .octets
        func require(_ holds: Bool) throws(DictionaryError) {
            if !holds { throw problem(.flagForKind(shown(flag), definition.kind)) }
        }
        switch flag.lowercased() {
        case "has_tag":
            try require(definition.kind == .text || definition.kind == .integer)
            definition.isTagged = true
        case "encrypt=1", "encrypt=2", "encrypt=3":
            try require(bytes || definition.kind == .integer || definition.kind == .ipv4)
            definition.hiding = flag.utf8.last.flatMap { AttributeHiding(rawValue: $0 - UInt8(ascii: "0")) }
        case "concat":
            try require(definition.kind == .octets && definition.oid.numbers.count == 1)
            definition.isConcatenated = true
        case "array", "secret", "virtual":
            // What they say is not asked of a RADIUS codec: arrays are DHCP's, the others FreeRADIUS's own.
            break
        default:
            throw problem(.flag(shown(flag)))
        }
    }

    private mutating func readValue(_ words: [Substring]) throws(DictionaryError) {
        guard words.count >= 4 else { throw problem(.words(expected: "VALUE attribute name number")) }
        try count()
        guard let number = UInt64(dictionaryText: words[3]) else { throw problem(.number(shown(words[3]))) }
        pending.append(
            PendingValue(attribute: shown(words[1]), name: try checked(words[2], isValue: true), number: number, file: file, line: line))
    }

    private mutating func readVendor(_ words: [Substring]) throws(DictionaryError) {
        guard (3...4).contains(words.count) else { throw problem(.words(expected: "VENDOR name number [format=t,l]")) }
        try count()
        guard let number = UInt64(dictionaryText: words[2]) else { throw problem(.number(shown(words[2]))) }
        guard number > 0, let number = UInt32(exactly: number) else { throw problem(.numberTooLarge(shown(words[2]), limit: .max)) }
        var vendor = VendorDefinition(name: try checked(words[1]), number: number)
        if words.count == 4 {
            let parts = words[3].lowercased().split(separator: ",", omittingEmptySubsequences: false)
            guard (2...3).contains(parts.count), let type = ["format=1": 1, "format=2": 2, "format=4": 4][String(parts[0])],
                let length = Int(parts[1]), (0...2).contains(length), parts.count == 2 || parts[2] == "c" && type == 1 && length == 1
            else { throw problem(.format(shown(words[3]))) }
            vendor.typeLength = type
            vendor.lengthLength = length
            vendor.hasContinuation = parts.count == 3
        } else if let known = dictionary.vendor(number), known.name == vendor.name {
            vendor = known
        }
        guard dictionary.insert(vendor) else { throw problem(.vendorTaken(vendor.name)) }
    }

    // MARK: Blocks and files

    private mutating func open(_ block: Block) throws(DictionaryError) {
        guard blocks.count < AttributeOID.maximumDepth else { throw problem(.blockNested) }
        blocks.append(block)
    }

    private mutating func beginVendor(_ words: [Substring]) throws(DictionaryError) {
        guard (2...3).contains(words.count) else { throw problem(.words(expected: "BEGIN-VENDOR name")) }
        guard let vendor = dictionary.vendor(named: words[1]) else { throw problem(.vendorUnknown(shown(words[1]))) }
        guard !blocks.contains(where: \.isVendor) else { throw problem(.blockNested) }
        var prefix: [UInt32] = [26]
        if words.count == 3 {
            let parts = words[2].split(separator: "=", maxSplits: 1)
            guard parts.count == 2, ["format", "parent"].contains(parts[0].lowercased()), let around = dictionary[name: parts[1]],
                around.kind == .extendedVendor
            else { throw problem(.format(shown(words[2]))) }
            prefix = around.oid.numbers
        }
        try open(Block(name: vendor.name, prefix: prefix + [vendor.number], isVendor: true, file: fileID))
    }

    private mutating func beginNested(_ words: [Substring]) throws(DictionaryError) {
        guard words.count == 2 else { throw problem(.words(expected: "BEGIN-TLV name")) }
        guard let around = dictionary[name: words[1]], around.kind == .nested else { throw problem(.blockUnknown(shown(words[1]))) }
        try open(Block(name: around.name, prefix: around.oid.numbers, isVendor: false, file: fileID))
    }

    private mutating func end(_ words: [Substring], isVendor: Bool) throws(DictionaryError) {
        guard words.count == 2 else { throw problem(.words(expected: isVendor ? "END-VENDOR name" : "END-TLV name")) }
        guard let last = blocks.last, last.isVendor == isVendor, last.name.lowercased() == words[1].lowercased() else {
            throw problem(.blockNotOpen(shown(words[1])))
        }
        blocks.removeLast()
    }

    private mutating func readIncluded(_ words: [Substring], _ include: (String) -> String?) throws(DictionaryError) {
        guard words.count == 2 else { throw problem(.words(expected: "$INCLUDE file")) }
        let name = shown(words[1])
        guard !name.contains("/"), !name.contains("\\"), !name.hasPrefix(".") else { throw problem(.includeOutside(name)) }
        guard !files.contains(where: { $0.name == name }) else { throw problem(.includeAgain(name)) }
        guard files.count < AttributeDictionary.maximumIncludeDepth else {
            throw problem(.tooMuch("files inside files", limit: AttributeDictionary.maximumIncludeDepth))
        }
        guard let text = include(name) else { throw problem(.includeMissing(name)) }
        let here = line
        try read(text, named: name, include: include)
        line = here
    }

    // MARK: Words

    /// Names of values are looked up in files alone, and vendors put anything into them.
    private func checked(_ word: Substring, isValue: Bool = false) throws(DictionaryError) -> String {
        let isFit = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: isValue ? (0x21...0x7E).contains(byte) : "-_./+&".utf8.contains(byte)
            }
        }
        guard isFit, word.utf8.count <= AttributeDictionary.maximumNameLength else { throw problem(.name(shown(word))) }
        return String(word)
    }

    private func path(_ word: Substring) throws(DictionaryError) -> [UInt32] {
        var numbers: [UInt32] = []
        for part in word.split(separator: ".", omittingEmptySubsequences: false) {
            guard let number = UInt64(dictionaryText: part) else { throw problem(.number(shown(word))) }
            guard let number = UInt32(exactly: number) else { throw problem(.numberTooLarge(shown(word), limit: .max)) }
            guard numbers.count <= AttributeOID.maximumDepth else {
                throw problem(.tooMuch("dots", limit: AttributeOID.maximumDepth - 1))
            }
            numbers.append(number)
        }
        return numbers
    }

    private func kind(_ word: Substring) throws(DictionaryError) -> (AttributeKind, Int?) {
        let lower = word.lowercased()
        if lower.hasPrefix("octets["), lower.hasSuffix("]") {
            guard let length = Int(lower.dropFirst(7).dropLast()), (1...Packet.maximumValueLength).contains(length) else {
                throw problem(.length(shown(word)))
            }
            return (.octets, length)
        }
        if let kind = AttributeKind(rawValue: lower) { return (kind, nil) }
        // Other words for the same, of FreeRADIUS 4 and of Ascend's filters, which nobody but Ascend reads.
        switch lower {
        case "uint8": return (.byte, nil)
        case "uint16": return (.short, nil)
        case "uint32": return (.integer, nil)
        case "uint64": return (.integer64, nil)
        case "int32": return (.signed, nil)
        case "text": return (.text, nil)
        case "abinary": return (.octets, nil)
        default: throw problem(.kind(shown(word)))
        }
    }

    /// A word as an error may show it.
    private func shown(_ word: Substring) -> String {
        String(word.unicodeScalars.prefix(AttributeDictionary.maximumNameLength).filter { $0.value >= 0x20 && $0.value != 0x7F })
    }
}

extension AttributeOID.Place {
    /// How many numbers lead to the container that the value lies in.
    fileprivate var depthOfContainer: Int {
        switch self {
        case .standard: 0
        case .vendor, .extended: 1
        case .extendedVendor: 2
        }
    }
}

extension UInt64 {
    /// Decimal digits, or hexadecimal ones after `0x`.
    fileprivate init?(dictionaryText text: Substring) {
        let isHexadecimal = text.hasPrefix("0x") || text.hasPrefix("0X")
        let digits = isHexadecimal ? text.dropFirst(2) : text
        // No sign: the library reads `+1`.
        guard let first = digits.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return nil }
        guard let number = UInt64(digits, radix: isHexadecimal ? 16 : 10) else { return nil }
        self = number
    }
}
