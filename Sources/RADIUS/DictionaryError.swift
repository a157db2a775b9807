// SPDX-License-Identifier: Apache-2.0
// What is wrong in a dictionary file, where, and what to do about it.

/// A mistake in a dictionary file.
public struct DictionaryError: Error, Sendable, Equatable, CustomStringConvertible {
    public let file: String
    /// From 1.
    public let line: Int
    public let problem: Problem

    public init(file: String, line: Int, problem: Problem) {
        self.file = file
        self.line = line
        self.problem = problem
    }

    public enum Problem: Sendable, Equatable {
        case unknownWord(String)
        case words(expected: String)
        case name(String)
        case number(String)
        case numberTooLarge(String, limit: UInt32)
        case kind(String)
        case length(String)
        case flag(String)
        case flagForKind(String, AttributeKind)
        case nameTaken(String, by: AttributeOID)
        case noParent(AttributeOID)
        case vendorUnknown(String)
        case vendorTaken(String)
        case format(String)
        case blockUnknown(String)
        case blockNotOpen(String)
        case blockNotClosed(String)
        case blockNested
        case attributeUnknown(String)
        case valueTaken(String)
        case valueOfText(String)
        case includeOutside(String)
        case includeMissing(String)
        case includeAgain(String)
        case tooMuch(String, limit: Int)
    }

    public var description: String { "\(file):\(line): \(problem)" }
}

extension DictionaryError.Problem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unknownWord(let word):
            "\(word) is no word of a dictionary; a line begins with ATTRIBUTE, VALUE, VENDOR, BEGIN-VENDOR, END-VENDOR, BEGIN-TLV, "
                + "END-TLV or $INCLUDE"
        case .words(let expected): "the line needs other words; write \(expected)"
        case .name(let name):
            "the name \(name) cannot be used; take letters, digits and - _ . / +, at most \(AttributeDictionary.maximumNameLength)"
        case .number(let text): "\(text) is no number; write digits, 0x and hexadecimal digits, or digits with dots between them"
        case .numberTooLarge(let text, let limit): "\(text) is too large here; the greatest is \(limit)"
        case .kind(let word):
            "\(word) is no type; take one of \(AttributeKind.allCases.map(\.rawValue).joined(separator: ", ")), or octets[length]"
        case .length(let text): "\(text) is no length; octets[1] to octets[253] can be written"
        case .flag(let word): "\(word) is no flag; take has_tag, encrypt=1, encrypt=2, encrypt=3, array, concat, secret or virtual"
        case .flagForKind(let flag, let kind): "\(flag) does not go with the type \(kind.rawValue)"
        case .nameTaken(let name, let oid): "\(name) is the name of \(oid) already; give this one another name"
        case .noParent(let oid): "nothing that can hold it is defined around \(oid); define the tlv, extended or evs attribute first"
        case .vendorUnknown(let name): "the vendor \(name) is not defined; put a line VENDOR \(name) number above"
        case .vendorTaken(let name): "the vendor \(name) has another number already; use one name for each number"
        case .format(let text):
            "\(text) cannot be used; write format=t,l with t 1, 2 or 4 and l 0, 1 or 2, format=1,1,c, or format= with the name of an "
                + "evs attribute"
        case .blockUnknown(let name): "\(name) is no attribute of type tlv; define it above"
        case .blockNotOpen(let name): "\(name) is closed but not open here; put its BEGIN line above, or remove this one"
        case .blockNotClosed(let name): "the block \(name) is not closed; put its END line at the end of this file"
        case .blockNested: "blocks nest too deep; close one first"
        case .attributeUnknown(let name): "VALUE names the attribute \(name), which is not defined; define it, or remove the line"
        case .valueTaken(let name): "the value \(name) stands for another number already; give this one another name"
        case .valueOfText(let name): "\(name) is no number, so its values have no names; remove the line"
        case .includeOutside(let path): "\(path) lies outside this folder; only files beside this one can be included"
        case .includeMissing(let path): "\(path) cannot be read; put it into the folder, or remove the line"
        case .includeAgain(let path): "\(path) includes itself; remove one of the lines"
        case .tooMuch(let what, let limit): "there are too many \(what); at most \(limit) are read"
        }
    }
}
