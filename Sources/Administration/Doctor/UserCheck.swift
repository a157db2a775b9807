// SPDX-License-Identifier: Apache-2.0
// Who could not log in, or only because no second factor is asked of them.

internal import Store

enum UserCheck {
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
