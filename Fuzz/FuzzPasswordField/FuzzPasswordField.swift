// SPDX-License-Identifier: Apache-2.0
// What people and gateways type: password fields, keywords, names, addresses, and what policies are written in. `scripts/fuzz FuzzPasswordField` builds and runs it.

import LoginEngine

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// SwiftPM renames an executable's `main` to this, so libFuzzer's own `main` is not there to call us.
@_cdecl("FuzzPasswordField_main")
public func start(argc: CInt, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var argc = argc
    var argv = argv
    return runFuzzer(&argc, &argv) { bytes, count in
        probe(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
}

/// The first byte chooses how the client reads the field; what follows is typed text.
func probe(_ input: [UInt8]) {
    guard let choice = input.first else { return }
    let typed = Array(input.dropFirst())
    // A digit, two bytes and two scalars are separators that overlap with what they separate.
    let separators: [Character?] = [",", nil, ":", " ", "1", "é", "🇩🇪", "\u{0}"]
    let lengths: [[Int]] = [[], [6], [6, 7, 8], [8, 6, 6, -1, 0]]
    probeField(typed, separators[Int(choice & 7)], lengths[Int(choice >> 3 & 3)])
    guard let text = String(validating: typed, as: UTF8.self) else { return }
    probeKeyword(text)
    for stripping in NameStripping.allCases { probeName(text, stripping) }
    probeAddress(text)
    probePolicyText(text)
}

/// What policies are written in, and what gateways say of where a device is.
func probePolicyText(_ text: String) {
    if let hours = try? PolicyHours(text) {
        precondition((try? PolicyHours(hours.description)) == hours, "hours are read as they are written")
        precondition((0..<1_440).contains(hours.from) && (1...1_440).contains(hours.to) && hours.from != hours.to)
        for seconds in stride(from: Int64(1_790_000_000), to: 1_790_700_000, by: 3_607) {
            _ = hours.isOpen(at: (hours.clock ?? .utc).local(Timestamp(seconds: seconds)))
        }
    }
    if let day = CivilDay(text) { precondition(day.description == text, "a day is written as it was read") }
    if let code = CountryCode(text) { precondition(CountryCode(code.description) == code && text.uppercased() == code.description) }
    guard let address = NetworkAddress(station: text) else { return }
    precondition(text.contains(".") || text.contains(":"), "what has no mark of an address is none")
    precondition(NetworkAddress(station: address.description) == address)
}

func probeField(_ typed: [UInt8], _ separator: Character?, _ lengths: [Int]) {
    let field = Secret(typed)
    let splits = PasswordField.splits(of: field, separator: separator, tailLengths: lengths)
    precondition(splits.count <= PasswordField.mostReadings + Set(lengths).count)
    let mark = separator.map { Array(String($0).utf8) }
    for split in splits {
        let tail = Array(split.tail.utf8)
        precondition(tail.count <= PasswordField.longestTail)
        let password = split.password.reveal { $0 }
        let isSeparated = mark.map { password + $0 + tail == typed } ?? false
        let isFixed = password + tail == typed && lengths.contains(tail.count) && tail.allSatisfy(isDigit) && !password.isEmpty
        precondition(isSeparated || isFixed, "password, separator and tail are the field")
    }
    if let mark, typed.count >= mark.count, typed.suffix(mark.count).elementsEqual(mark) {
        precondition(splits.contains { $0.tail.isEmpty }, "a separator at the end has an empty tail")
    }
    for length in Set(lengths) where length > 0 && typed.count > length && typed.suffix(length).allSatisfy(isDigit) {
        precondition(splits.contains { Array($0.tail.utf8) == Array(typed.suffix(length)) }, "digits at the end are read as a code")
    }
    let isCut = PasswordField.tailReadsAsFactor(field, separator: separator, fixedLengthTail: lengths.count > 1)
    if separator == nil, lengths.count <= 1 { precondition(!isCut, "a field without marks has one reading") }
    guard let mark else { return }
    for tail in ["123456", "12 345 678", " Push2 "] {
        let appended = Secret(typed + mark + Array(tail.utf8))
        precondition(
            PasswordField.tailReadsAsFactor(appended, separator: separator, fixedLengthTail: false),
            "no local password may end as a factor does")
    }
}

func probeKeyword(_ text: String) {
    guard let keyword = Keyword(text) else { return }
    precondition(Keyword.words.contains(keyword.word) && (1...99).contains(keyword.index))
    precondition(Keyword(keyword.word + String(keyword.index)) == keyword, "a keyword is read as it is written")
}

func probeName(_ text: String, _ stripping: NameStripping) {
    guard let key = UserName.key(of: text, stripping: stripping) else { return }
    precondition(!key.isEmpty && key.utf8.count <= UserName.longest)
    precondition(UserName.key(of: key) == key, "the key of a key is itself")
}

func probeAddress(_ text: String) {
    if let address = NetworkAddress(text) {
        precondition(NetworkAddress(address.description) == address, "parse(print(address)) == address")
        precondition(NetworkAddress(bytes: address.bytes) == address)
    }
    guard let range = AddressRange(text) else { return }
    precondition(AddressRange(range.description) == range, "parse(print(range)) == range")
    precondition((0...128).contains(range.prefixLength) && range.contains(range.base))
    let last = NetworkAddress(bits: range.base.bits | ~range.mask)
    precondition(range.contains(last))
    if last.bits < .max { precondition(!range.contains(NetworkAddress(bits: last.bits + 1))) }
}

func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}
