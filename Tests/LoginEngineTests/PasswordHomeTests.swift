// SPDX-License-Identifier: Apache-2.0
// Whose word counts of where a password lives, and that logins pay nothing for it where nobody says anything.

import LoginEngine
import TestSupport
import Testing

@Suite struct PasswordHomeTests {
    static let groups: [(id: Int64, name: String, home: PasswordHome?)] = [
        (3, "staff", .directory(8)), (4, "admins", .here), (5, "visitors", nil), (6, "everybody", .directory(7)),
    ]
    let table = HomeTable(groups: Self.groups, directories: [7: "nps", 8: "old"])

    @Test(arguments: [
        (PasswordHome.directory(7), [Int64(3)], PasswordHome?.some(.directory(8)), "nps (user)"),
        (.here, [3], .directory(8), "local (user)"),
        (nil, [3, 5], .directory(7), "old (group staff)"), (nil, [3, 6], nil, "nps (group everybody)"),
        (nil, [6, 3, 4], .directory(7), "local (group admins)"), (nil, [5], .directory(7), "nps (client)"),
        (nil, [], .here, "local (client)"), (nil, [5, 99], nil, "local (nobody)"), (.directory(9), [], nil, "? (user)"),
    ])
    func theUserComesBeforeTheFirstGroupByNameAndThatBeforeTheClient(
        own: PasswordHome?, groups: [Int64], client: PasswordHome?, words: String
    ) {
        let client = LoginBench.client { $0.home = client }
        #expect(table.ruling(own: own, groups: groups, client: client).words == words)
    }

    private func bench(own: PasswordHome? = nil, groups: [Int64] = []) -> LoginBench {
        let bench = LoginBench()
        bench.logins.rulebook.homes = table
        bench.records.change { tables in
            tables.users["alice"]?.home = own
            tables.users["alice"]?.directory = own?.directory
            tables.groups[LoginBench.aliceID] = groups
        }
        return bench
    }

    @Test func aMembersLoginIsSentToTheGroupsDirectoryAndTheTrailSaysWhy() {
        let bench = bench(groups: [3])
        let client = LoginBench.client()
        let challenge = bench.ask(bench.request(LoginBench.password, client: client))?.challenge
        #expect(bench.passwords.directories == [8])
        #expect(bench.ask(bench.request("111111", client: client, handle: challenge?.handle))?.isAccept == true)
        #expect(bench.records.events.map { $0["directory"] } == ["old (group staff)", "old (group staff)"])
    }

    @Test func whoSaysLocalStaysAndTheTrailNamesNoDirectory() {
        let bench = bench(own: .here, groups: [3])
        _ = bench.ask(bench.request(LoginBench.password, client: LoginBench.client { $0.home = .directory(7) }))
        #expect(bench.passwords.directories == [nil])
        #expect(bench.records.events.allSatisfy { $0["directory"] == nil })
    }

    @Test func aNameThatNobodyHasIsSentNowhere() {
        let bench = bench()
        let client = LoginBench.client { $0.home = .directory(7) }
        #expect(bench.ask(bench.request("pw", name: "mallory", client: client))?.isReject == true)
        #expect(bench.passwords.checks == ["nobody"] && bench.passwords.directories == [nil])
        #expect(bench.rejections == ["unknown-user"])
    }

    @Test func groupsAreLookedUpOnlyWhereOneSaysSomethingAndAPasswordIsAskedFor() {
        let quiet = LoginBench()
        _ = quiet.ask(quiet.request(LoginBench.password, client: LoginBench.client { $0.home = .directory(7) }))
        #expect(quiet.records.change { $0.lookedUpGroups } == 0, "a client's word needs no groups")
        let bench = bench(groups: [3])
        _ = bench.ask(bench.request("111111", client: LoginBench.client { $0.requirement = .factor }))
        #expect(bench.records.change { $0.lookedUpGroups } == 0)
        _ = bench.ask(bench.request(LoginBench.password, client: LoginBench.client()))
        #expect(bench.records.change { $0.lookedUpGroups } == 1)
    }

    @Test func aPasswordThatHadToBeChangedHereOpensWhereItLives() {
        let bench = bench(groups: [3])
        bench.records.change { $0.users["alice"]?.mustChangePassword = true }
        let client = LoginBench.client { $0.requirement = .password }
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isAccept == true)
    }
}
