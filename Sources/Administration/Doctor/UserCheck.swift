// SPDX-License-Identifier: Apache-2.0
// Who could not log in, or only because no second factor is asked of them.

internal import Store

enum UserCheck {
    /// - Parameter kept: of how many users; a part that is not kept is not in it.
    static func findings(kept: [PasswordKeeping.Part: Int]) -> [Finding] {
        PasswordKeeping.Part.allCases.compactMap { part in
            kept[part].map { users in
                Finding(
                    part == .ntHash ? .ntHashKept : .clearPasswordKept, nil,
                    "\(part.warning) Now of \(Words.count(users, "user")).",
                    remedy: "Where a gateway can do PAP, use that, then: sallyport password drop \(part.rawValue)")
            }
        }
    }

    static func findings(_ figures: UserFigures) -> [Finding] {
        guard figures.active > 0 else {
            return [
                Finding(
                    .usersNone, nil, "There is no active user.",
                    remedy: "sallyport user add NAME --password-stdin, then sallyport factor add NAME totp")
            ]
        }
        guard figures.withoutFactor > 0 else {
            return [Finding(.usersRight, nil, "\(Words.count(figures.active, "active user")), all with a second factor.")]
        }
        return [
            Finding(
                .factorMissing, nil,
                "\(figures.withoutFactor) of \(Words.count(figures.active, "active user")) \(figures.withoutFactor == 1 ? "has" : "have") "
                    + "no second factor: refused wherever one is asked for.",
                remedy: "See who: sallyport user list --without-factor --status active")
        ]
    }
}
