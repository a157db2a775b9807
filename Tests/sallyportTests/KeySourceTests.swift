// SPDX-License-Identifier: Apache-2.0
// Where the master key is taken from.

import LoginEngine
import Store
import Testing

@testable import sallyport

@Suite struct KeySourceTests {
    private let variable = ["SALLYPORT_MASTER_KEY": "5a"]

    @Test func variableIsUsedWhereNoSourceIsNamed() throws {
        guard case .text(let text) = try OpenedStore.keySource(.file(nil), "/d/master.key", variable) else {
            Issue.record("the variable is ignored")
            return
        }
        #expect(text == Secret(utf8: "5a"))
        guard case .file("/d/master.key") = try OpenedStore.keySource(.file(nil), "/d/master.key", [:]) else {
            Issue.record("not the file of the data directory")
            return
        }
    }

    @Test func namedSourceIsTheOneThatIsUsed() throws {
        guard case .file("/k") = try OpenedStore.keySource(.file("/k"), "/d/master.key", variable) else {
            Issue.record("not the file that was named")
            return
        }
        #expect { try OpenedStore.keySource(.environment("OTHER"), "/d/master.key", variable) } throws: {
            ($0 as? StoreError)?.isConfiguration == true
        }
    }
}
