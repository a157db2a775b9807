// SPDX-License-Identifier: Apache-2.0
// A change that is written and not in force is told, remembered, and tried again.

import Administration
import Synchronization
import Testing

@testable import sallyport

@Suite struct ChangesInForceTests {
    private struct Broken: Error, CustomStringConvertible { let description: String }

    private final class Table: Sendable {
        let broken = Mutex<Set<ChangesInForce.Part>>([])
        let reloaded = Mutex<[ChangesInForce.Part]>([])

        func reload(_ part: ChangesInForce.Part) throws {
            if broken.withLock({ $0.contains(part) }) { throw Broken(description: "\(part) is damaged") }
            reloaded.withLock { $0.append(part) }
        }

        func breaks(_ parts: Set<ChangesInForce.Part>) { broken.withLock { $0 = parts } }
        func taken() -> [ChangesInForce.Part] {
            reloaded.withLock { all in
                defer { all = [] }
                return all
            }
        }
    }

    @Test func whatIsReadIsInForce() throws {
        let table = Table()
        let changes = ChangesInForce { try table.reload($0) }
        try changes.take(.rules)
        #expect(table.taken() == [.rules])
        try changes.take(.clients)
        // Rules first: no packet of a new client is judged by rules that do not know it.
        #expect(table.taken() == [.rules, .clients])
        #expect(changes.problem == nil && changes.tryAgain() == nil && table.taken().isEmpty)
    }

    @Test func whatIsNotIsToldUntilItIs() throws {
        let table = Table()
        let changes = ChangesInForce { try table.reload($0) }
        table.breaks([.clients])
        let refusal = #expect(throws: Refusal.self) { try changes.take(.clients) }
        #expect(refusal?.kind == .failed && refusal?.message.contains("written, but not in force: clients is damaged") == true)
        #expect(changes.problem == "clients is damaged" && changes.tryAgain() == "clients is damaged")
        // Whoever changes something else is told too, since the node is behind what he sees.
        #expect(throws: Refusal.self) { try changes.take(.rules) }
        table.breaks([])
        _ = table.taken()
        #expect(changes.tryAgain() == nil && changes.problem == nil)
        #expect(table.taken() == [.rules, .clients])
    }

    @Test func directoriesWaitForNobody() throws {
        let table = Table()
        let changes = ChangesInForce { try table.reload($0) }
        table.breaks([.rules])
        #expect(throws: Refusal.self) { try changes.take(.clients) }
        #expect(throws: Refusal.self) { try changes.take(.directories) }
        #expect(table.taken() == [.directories])
        table.breaks([.directories])
        #expect(changes.tryAgain() == nil)
        #expect(table.taken() == [.rules, .clients])
    }

    @Test func clientsWaitForRulesThatAreDamaged() throws {
        let table = Table()
        let changes = ChangesInForce { try table.reload($0) }
        table.breaks([.rules])
        #expect(throws: Refusal.self) { try changes.take(.clients) }
        #expect(table.taken().isEmpty && changes.problem == "rules is damaged; the clients wait for the policies")
        table.breaks([])
        // The next change brings along what was left behind.
        try changes.take(.rules)
        #expect(table.taken() == [.rules, .clients] && changes.problem == nil)
    }
}
