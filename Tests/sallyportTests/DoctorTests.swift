// SPDX-License-Identifier: Apache-2.0
// What is found about a machine: clock, files, disk, ports, limits; and that each finding has its place on the page.

import Administration
import Foundation
import Glibc
import LoginEngine
import Testing

@testable import sallyport

@Suite struct DoctorTests {
    // MARK: The clock

    private let cookie: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]

    /// An answer of a server whose clock shows these seconds since 1970, with a quarter of a second behind them.
    private func answer(seconds: Int64, first: UInt8 = 0x24, stratum: UInt8 = 2, cookie: [UInt8]) -> [UInt8] {
        let time = UInt64(bitPattern: (seconds + 2_208_988_800) << 32 | 0x4000_0000)
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: time >> (56 - 8 * UInt64($0))) }
        return [first, stratum, 6, 0xEC] + [UInt8](repeating: 0, count: 20) + cookie + bytes + bytes
    }

    @Test func theDifferenceIsHalfOfBothWays() {
        // Asked at 100.0 by our clock, answered at 107.25 by theirs, heard at 100.5 by ours: theirs is 7.0 ahead.
        let difference = SNTP.difference(
            answer: answer(seconds: 107, cookie: cookie), cookie: cookie, asked: Timestamp(seconds: 100),
            heard: Timestamp(microseconds: 100_500_000))
        #expect(difference == .seconds(7))
    }

    @Test func timesAfter2036AreOfTheNextEra() {
        let time: Int64 = 2_200_000_000
        let difference = SNTP.difference(
            answer: answer(seconds: time, cookie: cookie), cookie: cookie, asked: Timestamp(seconds: time), heard: Timestamp(seconds: time))
        #expect(difference == .milliseconds(250))
    }

    @Test(arguments: [
        [UInt8](repeating: 0x24, count: 47), [0x23], [0xE4], [0x24, 0], [0x24, 16],
    ])
    func whatIsNoAnswerOfAServerThatKnowsTheTimeIsNone(start: [UInt8]) {
        var bytes = answer(seconds: 100, cookie: cookie)
        bytes = start.count < 47 ? start + bytes.dropFirst(start.count) : start
        let now = Timestamp(seconds: 100)
        #expect(SNTP.difference(answer: bytes, cookie: cookie, asked: now, heard: now) == nil)
        let others = answer(seconds: 100, cookie: [8, 7, 6, 5, 4, 3, 2, 1])
        #expect(SNTP.difference(answer: others, cookie: cookie, asked: now, heard: now) == nil)
    }

    @Test func aServerOnThisMachineIsAsked() async throws {
        let (descriptor, port) = try bound(SOCK_DGRAM)
        defer { close(descriptor) }
        Thread.detachNewThread { [self] in
            var question = [UInt8](repeating: 0, count: 512)
            var peer = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutablePointer(to: &peer) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { peer in
                    let count = recvfrom(descriptor, &question, question.count, 0, peer, &length)
                    guard count == SNTP.size else { return }
                    let late = Int64(Date().timeIntervalSince1970) + 3_600
                    let reply = answer(seconds: late, cookie: Array(question[40..<48]))
                    sendto(descriptor, reply, reply.count, 0, peer, length)
                }
            }
        }
        let findings = await ClockCheck.findings(server: "127.0.0.1:\(port)")
        #expect(findings.map(\.kind) == [.clockWrong])
        #expect(findings[0].text.contains("behind 127.0.0.1"))
        // The same server does not answer a second time.
        #expect(await ClockCheck.findings(server: "127.0.0.1:\(port)").map(\.kind) == [.clockUnchecked])
    }

    @Test(arguments: [
        (0, Finding.Kind.clockRight), (1_000_000, .clockRight), (-1_000_001, .clockOff), (10_000_000, .clockOff), (10_000_001, .clockWrong),
    ])
    func aClockIsOffThenWrong(microseconds: Int, kind: Finding.Kind) {
        let findings = ClockCheck.findings(server: "ntp.example", difference: Timestamp.Span(microseconds: Int64(microseconds)))
        #expect(findings.map(\.kind) == [kind])
    }

    @Test func theServerOfTheMachineIsFoundInItsFiles() {
        #expect(TimeServers.first(in: "[Time]\n#NTP=no\nNTP=ntp.example other.example\n") == "ntp.example")
        #expect(TimeServers.first(in: "# server no\npool 2.debian.pool.ntp.org iburst\n") == "2.debian.pool.ntp.org")
        #expect(TimeServers.first(in: "[Time]\n#FallbackNTP=0.debian.pool.ntp.org\n") == nil)
        #expect(TimeServers.configured(["/nonexistent"]) == nil)
    }

    @Test func aClockThatWasSetWhileTheNodeRanIsFound() {
        func moment(_ wall: Int64, _ uptime: Int64) -> Moment { Moment(wall: Timestamp(seconds: wall), uptime: Timestamp(seconds: uptime)) }
        #expect(NodeCheck.ofClock(since: moment(1_000, 10), now: moment(1_065, 70)).isEmpty)
        let back = NodeCheck.ofClock(since: moment(1_000, 10), now: moment(1_000 - 3_540, 70))
        #expect(back.map(\.kind) == [.clockSet] && back[0].text.contains("back by 3600 seconds"))
        #expect(NodeCheck.ofClock(since: moment(1_000, 10), now: moment(4_660, 70))[0].text.contains("forward by 3600 seconds"))
    }

    // MARK: The process

    @Test func limitsThatAreTooLowAndDumpsOfMemoryAreFound() {
        #expect(NodeCheck.ofLimits(files: 1_024, core: 0).isEmpty)
        #expect(NodeCheck.ofLimits(files: 1_023, core: .max).map(\.kind) == [.limitsLow, .coreDumps])
    }

    @Test func lossesOfTheKernelAreSummedForOurPorts() {
        let text = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
             1337: 00000000:0714 00000000:0000 07 00000000:00000000 00:00000000 00000000   997        0 31415 2 0000000000000000 12
             1338: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 27182 2 0000000000000000 99
               9: 00000000000000000000000000000000:0714 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000   997        0 16180 2 0000000000000000 3
            """
        #expect(SocketTable.losses(text, ports: [1812]) == 15)
        #expect(NodeCheck.ofLosses(15).map(\.kind) == [.datagramsLost])
        #expect(NodeCheck.ofLosses(0).isEmpty)
        #expect(SocketTable.entries(text).map(\.inode) == ["31415", "27182", "16180"])
    }

    // MARK: The machine

    @Test func aTakenPortIsFoundWithItsHolder() throws {
        let (descriptor, port) = try bound(SOCK_STREAM)
        defer { close(descriptor) }
        try #require(listen(descriptor, 1) == 0)
        let settings = try Settings.read(
            yaml: "radius: { listen: [\"127.0.0.1:0\"] }\nweb: { health: [], metrics: [\"127.0.0.1:\(port)\"] }")
        let findings = PortCheck.findings(settings, owner: 1)
        #expect(findings.map(\.kind) == [.portTaken])
        #expect(findings[0].text.contains("(pid \(getpid()))"), "\(findings[0].text)")
        close(descriptor)
        #expect(PortCheck.findings(settings, owner: 1).isEmpty)
    }

    @Test func portsThatNeedACapabilityAreFound() throws {
        let addresses = try Settings.read(yaml: "radius: { listen: [\"0.0.0.0:1023\", \"0.0.0.0:1024\"] }").radiusListen
        #expect(PortCheck.ofPrivileged(addresses[0], first: 1_024, owner: 997).map(\.kind) == [.portPrivileged])
        #expect(PortCheck.ofPrivileged(addresses[1], first: 1_024, owner: 997).isEmpty)
        #expect(PortCheck.ofPrivileged(addresses[0], first: 1_024, owner: 0).isEmpty)
    }

    @Test func filesThatOthersCanReadAreFound() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let file = folder + "/sallyport.sqlite"
        try Data().write(to: URL(fileURLWithPath: file))
        chmod(file, 0o600)
        #expect(FileCheck.findings(folder, key: nil).filter { $0.subject?.hasPrefix(folder) == true }.map(\.kind) == [.filesRight])
        chmod(file, 0o640)
        chmod(folder, 0o755)
        let key = folder + "-key"
        try Data().write(to: URL(fileURLWithPath: key))
        defer { try? FileManager.default.removeItem(atPath: key) }
        chmod(key, 0o604)
        let findings = FileCheck.findings(folder, key: key)
        #expect(Set(findings.filter { $0.kind == .fileOpen }.compactMap(\.subject)).isSuperset(of: [folder, file, key]))
        #expect(FileCheck.findings("/nonexistent", key: nil).isEmpty)
    }

    @Test(.enabled(if: geteuid() == 0, "only root may give files away")) func filesOfSomebodyElseAreFound() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data().write(to: URL(fileURLWithPath: folder + "/lock"))
        chmod(folder + "/lock", 0o600)
        chown(folder + "/lock", 65_534, 65_534)
        #expect(FileCheck.findings(folder, key: nil).contains { $0.kind == .fileForeign && $0.subject == folder + "/lock" })
    }

    @Test(arguments: [
        (64 << 20, 100_000, Finding.Kind.diskLow), (64 << 20 - 1, 100_000, .diskFull), (1 << 30, 9_999, .diskLow), (1 << 30, 99, .diskFull),
        (1 << 30, 10_000, .diskRight),
    ])
    func littleSpaceIsAWarningAndNoneAProblem(bytes: Int, files: Int, kind: Finding.Kind) {
        #expect(DiskCheck.findings("/d", bytes: bytes, files: files).map(\.kind) == [kind])
    }

    @Test func theDiskOfADirectoryIsMeasured() {
        #expect(DiskCheck.findings("/").count == 1)
        #expect(DiskCheck.findings("/nonexistent").isEmpty)
    }

    @Test func mistakesInTheSettingsAreFound() throws {
        func read(_ yaml: String, _ environment: [String: String] = [:]) -> Result<Settings, SettingsError> {
            Result { () throws(SettingsError) in try Settings.read(environment: environment, yaml: yaml, fileName: "s.yaml") }
        }
        let wrong = SettingsCheck.findings(read("radius:\n  lisen: []\n"), file: "s.yaml")
        #expect(wrong.map(\.kind) == [.settingsWrong] && wrong[0].text.contains("s.yaml:2:3"))
        #expect(SettingsCheck.findings(read("", ["SALLYPORT_LOG_LEVL": "info"]), file: nil).map(\.kind) == [.settingsDoubtful])
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let file = folder + "/sallyport.yaml"
        try Data().write(to: URL(fileURLWithPath: file))
        chmod(file, 0o644)
        #expect(SettingsCheck.findings(read(""), file: file).map(\.kind) == [.settingsRight])
        chmod(file, 0o664)
        #expect(SettingsCheck.findings(read(""), file: file).map(\.kind) == [.settingsOpen])
        let settings = try Settings.read(yaml: "radius: { listen: [\"127.0.0.1:1812\", \"127.0.0.1:0\"] }")
        #expect(SettingsCheck.inForce(settings, bound: ["127.0.0.1:1812", "127.0.0.1:45678"]).isEmpty)
        #expect(SettingsCheck.inForce(settings, bound: ["0.0.0.0:1812"]).map(\.kind) == [.settingsNotInForce])
    }

    // MARK: The report

    @Test func theWorstComesFirst() {
        let report = DoctorReport([
            Finding(.settingsRight, nil, "a"), Finding(.keyNotCopied, nil, "b"), Finding(.clientsNone, nil, "c"),
            Finding(.diskFull, nil, "d"),
            Finding(.secretKnown, nil, "e"),
        ])
        #expect(report.findings.map(\.text) == ["d", "e", "b", "c", "a"])
        #expect((report.problems, report.warnings, report.notes) == (2, 1, 1))
    }

    /// docs/run/doctor.md names every finding, as bad as it is.
    @Test(arguments: Finding.Kind.allCases) func everyFindingIsExplained(kind: Finding.Kind) throws {
        let page = try DocsTests.text("docs/run/doctor.md")
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `\(kind.rawValue)` |") }
        #expect(rows.count == 1, "\(kind.rawValue) is not on the page")
        #expect(rows.first?.contains("| \(kind.severity.rawValue) |") == true, "\(kind.rawValue) is \(kind.severity.rawValue)")
    }

    @Test func thePageExplainsNothingElse() throws {
        let rows = try DocsTests.text("docs/run/doctor.md").split(separator: "\n").compactMap { $0.firstMatch(of: /^\| `([a-z-]+)` \|/)?.1 }
        #expect(rows.allSatisfy { Finding.Kind(rawValue: String($0)) != nil })
        #expect(rows.count == Finding.Kind.allCases.count)
    }

    private func folder() throws -> String {
        let path = NSTemporaryDirectory() + "sallyport-doctor-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        chmod(path, 0o700)
        return path
    }

    private func bound(_ type: __socket_type) throws -> (descriptor: CInt, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = Ports.withAddress(NetworkAddress(v4: 0x7F00_0001), 0) { bind(descriptor, $0, $1) == 0 }
        let isKnown = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) == 0 }
        }
        try #require(isBound && isKnown)
        return (descriptor, UInt16(bigEndian: name.sin_port))
    }
}
