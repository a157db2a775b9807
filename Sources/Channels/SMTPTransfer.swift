// SPDX-License-Identifier: Apache-2.0
// Hands one mail to a server, by libcurl. It blocks for as long as the channel's timeout: never on a thread that logins need.

internal import CCURL
internal import Dispatch
package import LoginEngine
internal import Synchronization

package struct SMTPTransfer: Sendable {
    package struct Report: Sendable {
        package var verdict: SMTPVerdict
        package var conversation: SMTPConversation
        package var milliseconds: Int
    }

    /// Ends transfers from outside, but for one whose content is under way: nobody would know whether it arrived.
    package final class Brake: Sendable {
        private let isSet = Atomic<Bool>(false)

        package init() {}

        package func pull() { isSet.store(true, ordering: .relaxed) }
        var isPulled: Bool { isSet.load(ordering: .relaxed) }
    }

    private let settings: ChannelSettings
    private let hostName: String
    private let brake: Brake

    /// - Parameter hostName: what this side calls itself.
    package init(_ settings: ChannelSettings, hostName: String, brake: Brake = Brake()) {
        self.settings = settings
        self.hostName = hostName.utf8.allSatisfy { Self.isOfName($0) } && !hostName.isEmpty ? hostName : "localhost"
        self.brake = brake
    }

    private static func isOfName(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2D || byte == 0x2E
    }

    /// Once for the process, before the first transfer.
    private static let isReady: Bool = curl_begin()

    package func send(_ message: MailMessage) -> Report {
        let state = State(content: message.bytes, brake: brake)
        let problem = perform(message, state)
        return Report(
            verdict: state.conversation.verdict(problem: problem), conversation: state.conversation, milliseconds: state.milliseconds)
    }

    /// - Returns: what went wrong; nil where the server has the mail.
    private func perform(_ message: MailMessage, _ state: State) -> String? {
        guard Self.isReady, let transfer = curl_easy_init() else { return "libcurl cannot be used" }
        let recipients = curl_slist_append(nil, "<\(message.to)>")
        let words = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        words.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        defer {
            // In this order: what the transfer says at its end still goes into that memory.
            curl_easy_cleanup(transfer)
            curl_slist_free_all(recipients)
            words.deallocate()
        }
        guard let recipients else { return "no memory" }
        let context = Unmanaged.passUnretained(state).toOpaque()
        let scheme = settings.security == .tls ? "smtps" : "smtp"
        let milliseconds = Int(clamping: settings.timeout.microseconds / 1_000)
        var isSet = curl_set_error_buffer(transfer, words)
        func text(_ option: CURLoption, _ value: String?) { isSet = curl_set_text(transfer, option, value) && isSet }
        func number(_ option: CURLoption, _ value: Int) { isSet = curl_set_number(transfer, option, value) && isSet }
        text(CURLOPT_URL, "\(scheme)://\(settings.server.bracketed):\(settings.port)/\(hostName)")
        text(CURLOPT_PROTOCOLS_STR, "smtp,smtps")
        // What is set for this user's browser says nothing about mail.
        text(CURLOPT_PROXY, "")
        number(CURLOPT_NOSIGNAL, 1)
        number(CURLOPT_TIMEOUT_MS, milliseconds)
        number(CURLOPT_CONNECTTIMEOUT_MS, milliseconds)
        number(CURLOPT_USE_SSL, settings.security == .none ? curl_use_tls_never() : curl_use_tls_always())
        number(CURLOPT_SSLVERSION, curl_oldest_tls())
        number(CURLOPT_SSL_VERIFYPEER, 1)
        number(CURLOPT_SSL_VERIFYHOST, 2)
        if let authorities = settings.authorities {
            let pem = Array(authorities.utf8)
            isSet = curl_set_bytes(transfer, CURLOPT_CAINFO_BLOB, pem, pem.count) && isSet
            // Else the system's would be believed beside it.
            text(CURLOPT_CAPATH, nil)
        }
        if let userName = settings.userName {
            text(CURLOPT_USERNAME, userName)
            text(CURLOPT_PASSWORD, settings.secret.revealText() ?? "")
        }
        text(CURLOPT_MAIL_FROM, "<\(message.from)>")
        isSet = curl_set_list(transfer, CURLOPT_MAIL_RCPT, recipients) && isSet
        number(CURLOPT_UPLOAD, 1)
        isSet = curl_set_reader(transfer, Callbacks.read, context) && isSet
        isSet = curl_set_listener(transfer, Callbacks.listen, context) && isSet
        isSet = curl_set_watcher(transfer, Callbacks.watch, context) && isSet
        guard isSet else { return "this libcurl lacks what is asked of it" }
        let result = withExtendedLifetime(state) { curl_easy_perform(transfer) }
        if result == CURLE_OK { return nil }
        let told = String(cString: words)
        return told.isEmpty ? String(cString: curl_easy_strerror(result)) : told
    }

    /// Used by one thread: the one that performs.
    fileprivate final class State {
        let content: Secret
        let brake: Brake
        var position = 0
        var conversation = SMTPConversation()
        private let start = DispatchTime.now().uptimeNanoseconds

        init(content: Secret, brake: Brake) {
            (self.content, self.brake) = (content, brake)
        }

        var milliseconds: Int { Int((DispatchTime.now().uptimeNanoseconds - start) / 1_000_000) }
    }
}

private enum Callbacks {
    private static func state(_ context: UnsafeMutableRawPointer?) -> SMTPTransfer.State? {
        context.map { Unmanaged<SMTPTransfer.State>.fromOpaque($0).takeUnretainedValue() }
    }

    static let read: curl_reader = { buffer, size, count, context in
        guard let state = state(context), let buffer else { return 0 }
        return state.content.reveal { bytes in
            let length = min(size * count, bytes.count - state.position)
            guard length > 0 else { return 0 }
            bytes.withUnsafeBytes { source in
                UnsafeMutableRawBufferPointer(start: buffer, count: length).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: source[state.position..<state.position + length]))
            }
            state.position += length
            return length
        }
    }

    static let listen: curl_listener = { _, kind, bytes, count, context in
        guard let state = state(context), let bytes else { return 0 }
        func line() -> String {
            let most = min(count, 2_000)
            return bytes.withMemoryRebound(to: UInt8.self, capacity: most) {
                String(decoding: UnsafeBufferPointer(start: $0, count: most), as: UTF8.self)
            }
        }
        switch kind {
        case CURLINFO_TEXT: state.conversation.note(information: line(), at: state.milliseconds)
        case CURLINFO_HEADER_OUT: state.conversation.note(sent: line(), at: state.milliseconds)
        case CURLINFO_HEADER_IN: state.conversation.note(received: line(), at: state.milliseconds)
        default: break
        }
        return 0
    }

    static let watch: curl_watcher = { context, _, _, _, _ in
        guard let state = state(context), state.brake.isPulled, !state.conversation.isAtContent else { return 0 }
        return 1
    }
}
