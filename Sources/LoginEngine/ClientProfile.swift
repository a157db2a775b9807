// SPDX-License-Identifier: Apache-2.0
// What a product needs of its RADIUS server, as values: a client that is of a profile begins with these.

package struct ClientProfile: Sendable, Equatable {
    package var name: String
    package var title: String
    package var requirement: Requirement?
    package var schemes: ProofSchemes
    package var retryTimeout: Int
    package var retryTries: Int
    /// What it asks about when it is set up.
    package var probeUser: String?

    package static let generic = ClientProfile(
        name: "generic", title: "Any RADIUS gateway", requirement: nil, schemes: .pap, retryTimeout: 5, retryTries: 3, probeUser: nil)

    /// AWS Directory Service checks the password itself, afterwards, and sends the code as the password, by any of its protocols. When
    /// multi-factor authentication is switched on it asks about a name that nobody has, and waits for an answer.
    package static let awsDirectory = ClientProfile(
        name: "aws-directory", title: "AWS Directory Service (Managed Microsoft AD, AD Connector)", requirement: .factor, schemes: .all,
        retryTimeout: 10, retryTries: 3, probeUser: "fakeusername")

    package static let all = [generic, awsDirectory]

    package static func named(_ name: String) -> ClientProfile? { all.first { $0.name == name } }
}
