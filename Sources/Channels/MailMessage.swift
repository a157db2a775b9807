// SPDX-License-Identifier: Apache-2.0
// A mail as it goes over the wire: plain text in UTF-8, in lines that every server takes (RFC 5322, RFC 2045).

package import LoginEngine

package struct MailMessage: Sendable {
    package var from: MailAddress
    package var fromName: String?
    package var to: MailAddress
    package var subject: String
    /// What may hold a one-time link.
    package var body: Secret
    /// Without angle brackets.
    package var messageID: String
    package var date: Timestamp

    package init(
        from: MailAddress, fromName: String? = nil, to: MailAddress, subject: String, body: Secret, messageID: String, date: Timestamp
    ) {
        (self.from, self.fromName, self.to, self.subject) = (from, fromName, to, subject)
        (self.body, self.messageID, self.date) = (body, messageID, date)
    }

    /// All lines end in CR LF, and none is longer than 998 bytes (RFC 5322 §2.1.1).
    package var bytes: Secret {
        var head = "Date: \(Self.dateTime(date))\r\n"
        head += HeaderText.line("From", from, named: fromName)
        head += HeaderText.line("To", to)
        head += HeaderText.line("Subject", unstructured: subject)
        head += "Message-ID: <\(HeaderText.harmless(messageID))>\r\n"
        head += "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
        // RFC 3834 §5: nobody's absence is answered.
        head += "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n\r\n"
        return body.reveal { Secret(Array(head.utf8) + QuotedPrintable.bytes($0)) }
    }

    /// A new one, where `random` has 128 bits.
    package static func messageID(_ random: (UInt64, UInt64), at domain: String) -> String {
        func hex(_ word: UInt64) -> String {
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        return "\(hex(random.0))\(hex(random.1))@\(domain)"
    }

    /// RFC 5322 §3.3: `Tue, 01 Dec 2026 03:50:19 +0000`
    static func dateTime(_ time: Timestamp) -> String {
        let seconds = time.seconds
        let day = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        // Hinnant, `civil_from_days`
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * ofYear + 2) / 153
        let date = ofYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let ofDay = seconds - day * 86_400
        // 1970-01-01 was a Thursday.
        let weekday = Int(((day + 4) % 7 + 7) % 7)
        let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        return "\(weekdays[weekday]), \(two(date)) \(months[Int(month) - 1]) \(year) "
            + "\(two(ofDay / 3600)):\(two(ofDay / 60 % 60)):\(two(ofDay % 60)) +0000"
    }
}

/// RFC 2045 §6.7
enum QuotedPrintable {
    static let longestLine = 76
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// Of text whose lines end in LF or CR LF.
    static func bytes(_ text: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(text.count + text.count / 8 + 2)
        var length = 0
        var index = 0
        while index < text.count {
            let byte = text[index]
            let isEnd = byte == 0x0A || byte == 0x0D && index + 1 < text.count && text[index + 1] == 0x0A
            if isEnd {
                out += [0x0D, 0x0A]
                length = 0
                index += byte == 0x0D ? 2 : 1
                continue
            }
            let next = index + 1 < text.count ? text[index + 1] : 0x0A
            let isBlank = byte == 0x20 || byte == 0x09
            // Blanks at the end of a line are lost on the way (rule 3); a dot at its start, or `From `, means something else to some.
            let isPlain =
                (0x21...0x7E).contains(byte) && byte != 0x3D && !(length == 0 && (byte == 0x2E || byte == 0x46))
                || isBlank && next != 0x0A && next != 0x0D
            let piece = isPlain ? [byte] : [0x3D, digits[Int(byte >> 4)], digits[Int(byte & 0xF)]]
            if length + piece.count > longestLine - 1 {
                out += [0x3D, 0x0D, 0x0A]
                length = 0
            }
            out += piece
            length += piece.count
            index += 1
        }
        if length > 0 { out += [0x0D, 0x0A] }
        return out
    }
}
