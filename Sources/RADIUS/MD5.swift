// SPDX-License-Identifier: Apache-2.0
// MD5 (RFC 1321) as a trivial value, so that a state can be kept and continued; RADIUS is built on it.

/// A running MD5 digest. Copying it is copying 88 bytes: a kept prefix is continued from a copy.
///
/// MD5 is broken as a hash of documents; here it is what RFC 2865 §3, §5.2 and RFC 3579 §3.2 prescribe.
public struct MD5: Sendable {
    /// Digest length in bytes.
    public static let digestLength = 16
    static let blockLength = 64

    /// 16 bytes of digest.
    public typealias Digest = Authenticator

    private var state = MD5State()
    private var buffer = InlineArray<64, UInt8>(repeating: 0)
    private var count = 0

    public init() {}

    /// The digest of `bytes`.
    public static func digest(_ bytes: [UInt8]) -> Digest {
        var md5 = MD5()
        md5.update(bytes.span)
        return md5.finish()
    }

    /// Adds bytes.
    public mutating func update(_ bytes: [UInt8]) {
        update(bytes.span)
    }

    /// Adds bytes that lie in someone else's buffer.
    public mutating func update(_ bytes: borrowing Span<UInt8>) {
        update(bytes, from: 0, to: bytes.count)
    }

    /// Adds 16 bytes.
    public mutating func update(_ value: Authenticator) {
        for index in 0..<Authenticator.length { append(value[index]) }
    }

    /// Adds the bytes `start..<end` of `bytes`.
    mutating func update(_ bytes: borrowing Span<UInt8>, from start: Int, to end: Int) {
        precondition(start >= 0 && start <= end && end <= bytes.count)
        var offset = start
        if count & 63 != 0 {
            let room = Self.blockLength - count & 63
            let taken = min(room, end - offset)
            store(bytes, from: offset, count: taken)
            offset += taken
        }
        while end - offset >= Self.blockLength {
            state.compress(MD5Block(bytes, at: offset))
            offset += Self.blockLength
            count &+= Self.blockLength
        }
        if offset < end { store(bytes, from: offset, count: end - offset) }
    }

    /// Ends the message (RFC 1321 §3.1, §3.2). The value itself is not changed, so it may be continued.
    public func finish() -> Digest {
        var md5 = self
        md5.pad()
        return md5.state.digest
    }

    private mutating func append(_ byte: UInt8) {
        buffer[count & 63] = byte
        count &+= 1
        if count & 63 == 0 { state.compress(MD5Block(buffer.span, at: 0)) }
    }

    private mutating func store(_ bytes: borrowing Span<UInt8>, from offset: Int, count taken: Int) {
        let filled = count & 63
        precondition(taken >= 0 && filled + taken <= Self.blockLength && offset >= 0 && offset + taken <= bytes.count)
        for index in 0..<taken {
            // Safe: the precondition covers both ranges; the checks would otherwise be made for each byte.
            unsafe buffer[unchecked: filled &+ index] = bytes[unchecked: offset &+ index]
        }
        count &+= taken
        if count & 63 == 0 { state.compress(MD5Block(buffer.span, at: 0)) }
    }

    private mutating func pad() {
        let bits = UInt64(count) &* 8
        let filled = count & 63
        buffer[filled] = 0x80
        for index in filled + 1..<Self.blockLength { buffer[index] = 0 }
        if filled >= 56 {
            state.compress(MD5Block(buffer.span, at: 0))
            buffer = InlineArray(repeating: 0)
        }
        var block = MD5Block(buffer.span, at: 0)
        block.words[14] = UInt32(truncatingIfNeeded: bits)
        block.words[15] = UInt32(truncatingIfNeeded: bits >> 32)
        state.compress(block)
    }
}

/// The 16 words of one block, little-endian (RFC 1321 §2).
struct MD5Block {
    var words: InlineArray<16, UInt32>

    @inline(__always)
    init(_ bytes: borrowing Span<UInt8>, at offset: Int) {
        precondition(offset >= 0 && bytes.count - offset >= 64)
        words = InlineArray { index in
            // Safe: the precondition covers all 64 bytes, and every bit pattern is a UInt32.
            unsafe UInt32(
                littleEndian: bytes.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 4 &* index, as: UInt32.self))
        }
    }
}

/// The four chaining words (RFC 1321 §3.3).
struct MD5State {
    private var a: UInt32 = 0x6745_2301
    private var b: UInt32 = 0xefcd_ab89
    private var c: UInt32 = 0x98ba_dcfe
    private var d: UInt32 = 0x1032_5476

    /// The words as 16 bytes (RFC 1321 §3.5).
    var digest: Authenticator {
        Authenticator(
            high: UInt64(a.byteSwapped) << 32 | UInt64(b.byteSwapped),
            low: UInt64(c.byteSwapped) << 32 | UInt64(d.byteSwapped))
    }

    /// Mixes in one block (RFC 1321 §3.4), unrolled.
    mutating func compress(_ block: MD5Block) {
        let m = block.words
        var (a, b, c, d) = (self.a, self.b, self.c, self.d)
        a = round1(a, b, c, d, m[0], 0xd76aa478, 7)
        d = round1(d, a, b, c, m[1], 0xe8c7b756, 12)
        c = round1(c, d, a, b, m[2], 0x242070db, 17)
        b = round1(b, c, d, a, m[3], 0xc1bdceee, 22)
        a = round1(a, b, c, d, m[4], 0xf57c0faf, 7)
        d = round1(d, a, b, c, m[5], 0x4787c62a, 12)
        c = round1(c, d, a, b, m[6], 0xa8304613, 17)
        b = round1(b, c, d, a, m[7], 0xfd469501, 22)
        a = round1(a, b, c, d, m[8], 0x698098d8, 7)
        d = round1(d, a, b, c, m[9], 0x8b44f7af, 12)
        c = round1(c, d, a, b, m[10], 0xffff5bb1, 17)
        b = round1(b, c, d, a, m[11], 0x895cd7be, 22)
        a = round1(a, b, c, d, m[12], 0x6b901122, 7)
        d = round1(d, a, b, c, m[13], 0xfd987193, 12)
        c = round1(c, d, a, b, m[14], 0xa679438e, 17)
        b = round1(b, c, d, a, m[15], 0x49b40821, 22)

        a = round2(a, b, c, d, m[1], 0xf61e2562, 5)
        d = round2(d, a, b, c, m[6], 0xc040b340, 9)
        c = round2(c, d, a, b, m[11], 0x265e5a51, 14)
        b = round2(b, c, d, a, m[0], 0xe9b6c7aa, 20)
        a = round2(a, b, c, d, m[5], 0xd62f105d, 5)
        d = round2(d, a, b, c, m[10], 0x02441453, 9)
        c = round2(c, d, a, b, m[15], 0xd8a1e681, 14)
        b = round2(b, c, d, a, m[4], 0xe7d3fbc8, 20)
        a = round2(a, b, c, d, m[9], 0x21e1cde6, 5)
        d = round2(d, a, b, c, m[14], 0xc33707d6, 9)
        c = round2(c, d, a, b, m[3], 0xf4d50d87, 14)
        b = round2(b, c, d, a, m[8], 0x455a14ed, 20)
        a = round2(a, b, c, d, m[13], 0xa9e3e905, 5)
        d = round2(d, a, b, c, m[2], 0xfcefa3f8, 9)
        c = round2(c, d, a, b, m[7], 0x676f02d9, 14)
        b = round2(b, c, d, a, m[12], 0x8d2a4c8a, 20)

        a = round3(a, b, c, d, m[5], 0xfffa3942, 4)
        d = round3(d, a, b, c, m[8], 0x8771f681, 11)
        c = round3(c, d, a, b, m[11], 0x6d9d6122, 16)
        b = round3(b, c, d, a, m[14], 0xfde5380c, 23)
        a = round3(a, b, c, d, m[1], 0xa4beea44, 4)
        d = round3(d, a, b, c, m[4], 0x4bdecfa9, 11)
        c = round3(c, d, a, b, m[7], 0xf6bb4b60, 16)
        b = round3(b, c, d, a, m[10], 0xbebfbc70, 23)
        a = round3(a, b, c, d, m[13], 0x289b7ec6, 4)
        d = round3(d, a, b, c, m[0], 0xeaa127fa, 11)
        c = round3(c, d, a, b, m[3], 0xd4ef3085, 16)
        b = round3(b, c, d, a, m[6], 0x04881d05, 23)
        a = round3(a, b, c, d, m[9], 0xd9d4d039, 4)
        d = round3(d, a, b, c, m[12], 0xe6db99e5, 11)
        c = round3(c, d, a, b, m[15], 0x1fa27cf8, 16)
        b = round3(b, c, d, a, m[2], 0xc4ac5665, 23)

        a = round4(a, b, c, d, m[0], 0xf4292244, 6)
        d = round4(d, a, b, c, m[7], 0x432aff97, 10)
        c = round4(c, d, a, b, m[14], 0xab9423a7, 15)
        b = round4(b, c, d, a, m[5], 0xfc93a039, 21)
        a = round4(a, b, c, d, m[12], 0x655b59c3, 6)
        d = round4(d, a, b, c, m[3], 0x8f0ccc92, 10)
        c = round4(c, d, a, b, m[10], 0xffeff47d, 15)
        b = round4(b, c, d, a, m[1], 0x85845dd1, 21)
        a = round4(a, b, c, d, m[8], 0x6fa87e4f, 6)
        d = round4(d, a, b, c, m[15], 0xfe2ce6e0, 10)
        c = round4(c, d, a, b, m[6], 0xa3014314, 15)
        b = round4(b, c, d, a, m[13], 0x4e0811a1, 21)
        a = round4(a, b, c, d, m[4], 0xf7537e82, 6)
        d = round4(d, a, b, c, m[11], 0xbd3af235, 10)
        c = round4(c, d, a, b, m[2], 0x2ad7d2bb, 15)
        b = round4(b, c, d, a, m[9], 0xeb86d391, 21)

        self.a &+= a
        self.b &+= b
        self.c &+= c
        self.d &+= d
    }
}

@inline(__always)
private func rotate(_ value: UInt32, _ shift: UInt32) -> UInt32 {
    value &<< shift | value &>> (32 &- shift)
}

@inline(__always)
private func round1(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32, _ m: UInt32, _ t: UInt32, _ s: UInt32) -> UInt32 {
    b &+ rotate(a &+ m &+ t &+ (d ^ (b & (c ^ d))), s)
}

/// The two halves of G never share a bit, so adding them is as good as `|`, and the half without `b` is ready earlier.
@inline(__always)
private func round2(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32, _ m: UInt32, _ t: UInt32, _ s: UInt32) -> UInt32 {
    b &+ rotate((a &+ m &+ t &+ (c & ~d)) &+ (b & d), s)
}

@inline(__always)
private func round3(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32, _ m: UInt32, _ t: UInt32, _ s: UInt32) -> UInt32 {
    b &+ rotate(a &+ m &+ t &+ ((c ^ d) ^ b), s)
}

@inline(__always)
private func round4(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32, _ m: UInt32, _ t: UInt32, _ s: UInt32) -> UInt32 {
    b &+ rotate(a &+ m &+ t &+ (c ^ (b | ~d)), s)
}
