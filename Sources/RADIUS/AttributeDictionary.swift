// SPDX-License-Identifier: Apache-2.0
// Names, numbers and kinds of attributes: those built in, and what is read on top of them.

/// Attributes and vendors by name and by number. An immutable value once it is read; copying it is copying a few pointers.
public struct AttributeDictionary: Sendable {
    private(set) var definitions: [AttributeDefinition] = []
    private var byName: [String: Int] = [:]
    private var byOID: [AttributeOID: Int] = [:]
    private var vendorsByNumber: [UInt32: VendorDefinition] = [:]
    private var vendorsByName: [String: UInt32] = [:]
    private var values: [AttributeOID: ValueNames] = [:]

    /// The names of one attribute's values.
    struct ValueNames: Sendable {
        var byName: [String: UInt64] = [:]
        var byNumber: [UInt64: String] = [:]
        var inOrder: [String] = []
    }

    /// Without any attribute.
    public static let empty = AttributeDictionary()

    /// The RFCs and the vendors of `Dictionaries/`, read at its first use. They are read by the tests too, so nothing is wrong in them.
    public static let builtIn: AttributeDictionary = {
        var dictionary = AttributeDictionary()
        for (name, text) in builtInFiles {
            do throws(DictionaryError) {
                try dictionary.read(text.description, named: name)
            } catch {
                preconditionFailure(error.description)
            }
        }
        return dictionary
    }()

    /// The attribute with this name, whatever its case.
    public subscript(name name: some StringProtocol) -> AttributeDefinition? {
        byName[name.lowercased()].map { definitions[$0] }
    }

    public subscript(oid: AttributeOID) -> AttributeDefinition? {
        byOID[oid].map { definitions[$0] }
    }

    public func vendor(_ number: UInt32) -> VendorDefinition? { vendorsByNumber[number] }

    public func vendor(named name: some StringProtocol) -> VendorDefinition? {
        vendorsByName[name.lowercased()].flatMap { vendorsByNumber[$0] }
    }

    /// All names that attributes can be written by, sorted; containers have none that anybody could set.
    public var names: [String] { definitions.filter { !$0.kind.isContainer }.map(\.name).sorted() }

    /// All attributes in the order in which they were read.
    public var all: [AttributeDefinition] { definitions }

    /// The number that a dictionary gives to a value's name.
    public func number(of value: some StringProtocol, for oid: AttributeOID) -> UInt64? { values[oid]?.byName[value.lowercased()] }

    /// The name that a dictionary gives to a value's number; the first of several.
    public func name(of number: UInt64, for oid: AttributeOID) -> String? { values[oid]?.byNumber[number] }

    /// The names of an attribute's values in the order of the dictionary.
    public func valueNames(for oid: AttributeOID) -> [String] { values[oid]?.inOrder ?? [] }

    /// What an attribute is called: by its name, else by its numbers.
    public func name(of oid: AttributeOID) -> String { self[oid]?.name ?? oid.description }
}

extension AttributeDictionary {
    /// A later one takes over the number; its older name stays as another name for it.
    ///
    /// - Returns: false when the name belongs to another place already.
    mutating func insert(_ definition: AttributeDefinition) -> Bool {
        let key = definition.name.lowercased()
        if let known = byName[key] {
            guard definitions[known].oid == definition.oid else { return false }
            definitions[known] = definition
            byOID[definition.oid] = known
            return true
        }
        definitions.append(definition)
        byName[key] = definitions.count - 1
        byOID[definition.oid] = definitions.count - 1
        return true
    }

    /// - Returns: false when the number is another vendor's, or the name another number's.
    mutating func insert(_ vendor: VendorDefinition) -> Bool {
        let key = vendor.name.lowercased()
        if let known = vendorsByName[key], known != vendor.number { return false }
        vendorsByName[key] = vendor.number
        vendorsByNumber[vendor.number] = vendor
        return true
    }

    /// - Returns: false when the name stands for another number already.
    mutating func insert(value name: String, _ number: UInt64, for oid: AttributeOID) -> Bool {
        let key = name.lowercased()
        if let known = values[oid]?.byName[key] { return known == number }
        values[oid, default: ValueNames()].byName[key] = number
        values[oid, default: ValueNames()].inOrder.append(name)
        if values[oid]?.byNumber[number] == nil { values[oid, default: ValueNames()].byNumber[number] = name }
        return true
    }
}
