// SPDX-License-Identifier: Apache-2.0
// A printed key is base64url: one in sixty-four begins with a dash.

import ArgumentParser
import Testing

@testable import sallyport

@Suite struct AuditKeyArgumentTests {
    @Test(arguments: ["-AbC", "--x", "AbC"]) func keyIsTakenHoweverItBegins(_ key: String) throws {
        _ = try Sallyport.parseAsRoot(["audit", "verify", "--key", key])
    }
}
