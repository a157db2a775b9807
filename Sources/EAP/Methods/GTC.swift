// SPDX-License-Identifier: Apache-2.0
// EAP-GTC (RFC 3748 §5.6): a text is shown, a text comes back, as often as the application asks. Shows the password to whoever listens.

public struct GTCMethod: EAPMethod {
    /// Of what the user typed; RFC 3748 names none.
    public static let longestResponse = 253

    public let type = EAPType.genericTokenCard
    private let prompt: String
    private let name: String

    /// - Parameter name: as it stands in the trail; a tunnel puts its own in front.
    public init(prompt: String = "Password: ", name: String = "EAP-GTC") {
        self.prompt = prompt
        self.name = name
    }

    public var keptBytes: Int { 64 }

    public mutating func begin(identifier: UInt8) -> MethodStep { .request(Array(prompt.utf8)) }

    public mutating func take(response: ArraySlice<UInt8>) -> MethodStep {
        guard response.count <= Self.longestResponse else { return .failure(.malformed("EAP-GTC response of \(response.count) bytes")) }
        return .ask(EAPQuestion(method: name, proof: .password(EAPSecret(Array(response)))))
    }

    public mutating func take(verdict: EAPVerdict) -> MethodStep {
        switch verdict {
        case .accept: .success(nil)
        case .challenge(let prompt): .request(Array(prompt.utf8))
        case .expired, .reject: .failure(.rejected)
        }
    }
}
