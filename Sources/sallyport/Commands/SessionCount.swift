// SPDX-License-Identifier: Apache-2.0
// How many sessions may be open at once, as it is typed: a number, or any.

import ArgumentParser

struct SessionCount: ExpressibleByArgument {
    /// 0 for any number.
    let most: Int

    init?(argument: String) {
        if argument == "any" {
            most = 0
        } else if let number = Int(argument), number > 0 {
            most = number
        } else {
            return nil
        }
    }
}
