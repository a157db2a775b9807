// SPDX-License-Identifier: Apache-2.0
// Whether the database is whole, takes what is written, and waits for the disk.

internal import Store

enum DatabaseCheck {
    static let restore = "Stop the node, keep a copy of the data directory as it is, and put a backup in its place (docs/run/upgrade.md)."
    /// Folded back at 4,000 pages of 4 KiB: more lies there only while something reads for a very long time.
    static let largestJournal: Int64 = 256 << 20

    static func findings(_ examination: DatabaseExamination, health: StoreHealth) -> [Finding] {
        var findings: [Finding] = []
        if let problem = health.problem {
            findings.append(
                Finding(
                    .databaseUnwritable, nil, "The database cannot be used: \(problem).",
                    remedy: "See the disk, and the node's log. No restart is needed when it works again."))
        }
        for damage in examination.damage {
            findings.append(Finding(.databaseDamaged, nil, "The database is damaged: \(damage)", remedy: restore))
        }
        if !examination.isDurable {
            findings.append(
                Finding(
                    .databaseNotDurable, nil,
                    "The database does not wait for the disk: after a power cut a used code could count as unused.",
                    remedy: "Restart the node, which sets it right or refuses to start."))
        }
        if examination.journalBytes > largestJournal {
            findings.append(
                Finding(
                    .journalLarge, nil, "The database's journal has \(examination.journalBytes >> 20) MiB and is not folded back.",
                    remedy: "End what has been reading the database for a long time, such as a copy that hangs; else restart the node."))
        }
        if examination.isElsewhere {
            findings.append(
                Finding(
                    .databaseElsewhere, nil,
                    "The database is on another machine: whoever can write to it there can log in as anybody, without the master key.",
                    remedy:
                        "Trust its administrators as you trust this node's, and nobody else with writing (docs/security/threat-model.md)."))
        }
        if !examination.isComplete {
            findings.append(
                Finding(
                    .databaseUnchecked, nil, "The database was not looked through to its end: the time was too short.",
                    remedy: "Give it longer: sallyport doctor --database-seconds 300"))
        }
        return findings.orElse(
            Finding(
                .databaseRight, nil,
                "The database \(examination.isComplete && examination.isExamined ? "is whole and " : "")waits for the disk; "
                    + "schema \(health.schema), "
                    + "\(Words.count(Int(health.head), "event")) in the trail."))
    }
}
