// SPDX-License-Identifier: Apache-2.0
// What the user reads where a client is set to show reasons. The administrator's sentences live in `Administration`.

extension RejectReason {
    /// Whether the reason depends on whether the name exists and what it has.
    package var tellsWhoExists: Bool {
        switch self {
        case .unknownUser, .userDisabled, .userPending, .factorLocked, .wrongCode, .codeMalformed, .codeAlreadyUsed, .codeBeyondWindow,
            .noFactor, .noAllowedFactor, .deniedByPolicy, .keywordNotAllowed, .changedMeanwhile, .sameWrongProof, .handleUnknown,
            .handleExpired, .handleSpent,
            .handleOfAnother, .codeMissing, .recoveryCodeUsed, .tooManySessions, .certificateMissing,
            .accountLocked, .notInDirectory, .directoryEntryUnfit, .directoryEntryChanged, .directoryNameTaken,
            .grantNotValid:
            true
        default:
            false
        }
    }

    package var userSentence: String {
        switch self {
        case .unknownUser, .wrongPassword, .noPassword: "The user name or password is wrong."
        case .userDisabled: "Your account is disabled. Ask your administrator."
        case .userPending: "Your account is not active yet. Use the link in your invitation."
        case .passwordLocked: "Too many wrong passwords. Wait a few minutes and try again."
        case .factorLocked: "Too many wrong codes. Wait 15 minutes, or use a recovery code."
        case .wrongCode, .codeMalformed: "The code is wrong. If it keeps being wrong, check the clock of your phone."
        case .codeAlreadyUsed: "This code was used already. Wait for the next one."
        case .recoveryCodeUsed: "This recovery code is not valid, or was used already. Try another one."
        case .codeBeyondWindow: "Your token is ahead of us. Log in again with its next code."
        case .noFactor: "You have no second factor yet. Ask your administrator to enrol you."
        case .noAllowedFactor: "None of your second factors may be used here. Ask your administrator."
        case .deniedByPolicy: "You may not log in here. Ask your administrator."
        case .codeMissing: "A code is needed after the password."
        case .handleUnknown, .handleExpired, .handleSpent, .handleOfAnother, .changedMeanwhile: "This login took too long. Start again."
        case .anotherLoginWaiting: "Another login of yours is waiting for an answer. Answer or wait, then try again."
        case .factorDenied: "The login was denied on your phone."
        case .factorTimedOut: "Nobody answered on your phone in time."
        case .factorFailed: "Your phone could not be reached. Use a code instead."
        case .tooManyChallenges: "You were asked for a code too often. Wait a minute, then try again."
        case .tooManyStarts: "Too many requests to your phone. Wait a minute, or use a code."
        case .keywordNotAllowed: "This cannot be used here. Enter a code."
        case .sameWrongProof: "The same wrong answer again. Check what you typed."
        case .protocolNotSupported, .protocolNotAllowed, .appendNeedsPlaintext, .passwordNotKept:
            "The gateway sent the password in a way that is not supported."
        case .cannotAsk: "A second factor is needed, and your device cannot be asked for one. Ask your administrator."
        case .certificateMissing: "A certificate of your device is needed here. Ask your administrator."
        case .certificateNotAsked: "A certificate is not enough here. Ask your administrator."
        case .certificateNotBound: "The certificate of your device is not yours. Ask your administrator."
        case .certificateRefused, .certificateRevoked: "The certificate of your device is not valid. Ask your administrator."
        case .eapFailed: "Your device and the server did not understand each other. Try again."
        case .passwordExpired: "Your password must be changed first. Ask your administrator."
        case .newPasswordRefused: "The new password is not allowed. Choose a longer one."
        case .sourceUnreachable: "The directory cannot be reached. Try again in a few minutes."
        case .sourceAsksMore: "The directory asks for more than this gateway can pass on. Ask your administrator."
        case .proxyLoop: "The login servers ask each other in a circle. Ask your administrator."
        case .replyUnfit: "Your login is not set up completely. Ask your administrator."
        case .tooManySessions: "You have as many connections open as you may: end one of them, then log in again."
        case .accountDisabled: "Your account is disabled in the directory. Ask your administrator."
        case .accountLocked: "Your account is locked in the directory. Wait, or ask your administrator."
        case .accountExpired: "Your account has expired in the directory. Ask your administrator."
        case .outsideLogonHours: "The directory does not let you log in at this hour."
        case .logonNotAllowed: "The directory does not let you log in from here. Ask your administrator."
        case .notInDirectory: "The user name or password is wrong."
        case .directoryEntryUnfit, .directoryEntryChanged, .directoryNameTaken:
            "Your login is not set up completely. Ask your administrator."
        case .grantNotValid: "Your temporary access is over, or was used already. Ask your help desk."
        case .nameMalformed: "The user name is not valid."
        }
    }
}
