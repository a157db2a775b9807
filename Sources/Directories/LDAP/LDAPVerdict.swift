// SPDX-License-Identifier: Apache-2.0
// What a server's answer to a bind says of a password and its account. Pure.

package import LoginEngine

package enum LDAPVerdict: Sendable, Equatable {
    case right
    case wrong
    /// It has to be changed where it lives.
    case expired
    case refused(RejectReason)
    /// The server judged nothing.
    case unjudged(String)

    package init(_ answer: LDAPBindAnswer) {
        switch answer.code {
        case 0:
            // Bound, and good for nothing but changing it (draft-behera-ldap-password-policy §8.1.1).
            self = answer.policyError == Self.changeAfterReset ? .expired : .right
        // invalidCredentials
        case 49: self = Self.state(answer.diagnostic) ?? Self.policy(answer.policyError) ?? .wrong
        // inappropriateAuthentication, noSuchObject: no password that could be right.
        case 48, 32: self = .wrong
        // constraintViolation: 389 DS, whose account is locked by failures.
        case 19: self = .refused(.accountLocked)
        // unwillingToPerform: 389 DS and FreeIPA, for accounts that are switched off.
        case 53:
            self = Self.policy(answer.policyError) ?? .refused(Self.isInactive(answer.diagnostic) ? .accountDisabled : .logonNotAllowed)
        // strongerAuthRequired, confidentialityRequired
        case 8, 13: self = .unjudged("it takes passwords over TLS alone: name its servers by ldaps:// or starttls://")
        default:
            self = .unjudged("it answers a bind with code \(answer.code)" + (answer.diagnostic.isEmpty ? "" : " (\(answer.diagnostic))"))
        }
    }

    private static let changeAfterReset = 2

    /// `80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 52e, v3839` of Active Directory and Samba: the number
    /// is a Windows error code, told with invalidCredentials.
    private static func state(_ diagnostic: String) -> LDAPVerdict? {
        guard let mark = diagnostic.firstRange(of: "data ") else { return nil }
        let code = diagnostic[mark.upperBound...].prefix { $0.isHexDigit }.lowercased()
        return switch code {
        // ERROR_LOGON_FAILURE; 525 is ERROR_NO_SUCH_USER.
        case "52e", "525": .wrong
        // ERROR_INVALID_LOGON_HOURS
        case "530": .refused(.outsideLogonHours)
        // ERROR_INVALID_WORKSTATION, ERROR_LOGON_TYPE_NOT_GRANTED
        case "531", "534", "569": .refused(.logonNotAllowed)
        // ERROR_PASSWORD_EXPIRED, ERROR_PASSWORD_MUST_CHANGE
        case "532", "773": .expired
        // ERROR_ACCOUNT_DISABLED
        case "533": .refused(.accountDisabled)
        // ERROR_ACCOUNT_EXPIRED
        case "701": .refused(.accountExpired)
        // ERROR_ACCOUNT_LOCKED_OUT
        case "775": .refused(.accountLocked)
        default: nil
        }
    }

    /// PP_passwordExpired, PP_accountLocked.
    private static func policy(_ error: Int?) -> LDAPVerdict? {
        switch error {
        case 0: .expired
        case 1: .refused(.accountLocked)
        case changeAfterReset: .expired
        default: nil
        }
    }

    private static func isInactive(_ diagnostic: String) -> Bool {
        let text = diagnostic.lowercased()
        return ["inactiv", "disabled", "locked out by admin"].contains { text.contains($0) }
    }
}
