// SPDX-License-Identifier: Apache-2.0
// Operations that make no sense on an empty data directory: a command that only looks must not leave a key and a database behind.

extension ListUsers { package var needsData: Bool { true } }
extension ShowUser { package var needsData: Bool { true } }
extension ExplainName { package var needsData: Bool { true } }
extension ShowPasswordKeeping { package var needsData: Bool { true } }
extension ListGroups { package var needsData: Bool { true } }
extension ShowGroup { package var needsData: Bool { true } }
extension ListClients { package var needsData: Bool { true } }
extension ShowClient { package var needsData: Bool { true } }
extension PreviewReply { package var needsData: Bool { true } }
extension RevealClientSecret { package var needsData: Bool { true } }
extension NodeStatus { package var needsData: Bool { true } }
extension ListDirectories { package var needsData: Bool { true } }
extension ShowDirectory { package var needsData: Bool { true } }
extension TestDirectory { package var needsData: Bool { true } }
extension ListChannels { package var needsData: Bool { true } }
extension ShowChannel { package var needsData: Bool { true } }
extension TestChannel { package var needsData: Bool { true } }
extension ListMails { package var needsData: Bool { true } }
extension ListOnboarding { package var needsData: Bool { true } }
extension ListFactors { package var needsData: Bool { true } }
extension ShowFactor { package var needsData: Bool { true } }
extension ListGrants { package var needsData: Bool { true } }
extension ShowGrant { package var needsData: Bool { true } }
extension ListPolicies { package var needsData: Bool { true } }
extension ShowPolicy { package var needsData: Bool { true } }
extension DiffPolicy { package var needsData: Bool { true } }
extension ExplainPolicy { package var needsData: Bool { true } }
extension ExportBlueprint { package var needsData: Bool { true } }
extension ListEvents { package var needsData: Bool { true } }
extension ExportTrail { package var needsData: Bool { true } }
extension VerifyTrail { package var needsData: Bool { true } }
extension AnchorTrail { package var needsData: Bool { true } }
extension ShowTrailKey { package var needsData: Bool { true } }
extension TraceLogin { package var needsData: Bool { true } }
extension ListSessions { package var needsData: Bool { true } }
extension ShowSession { package var needsData: Bool { true } }
extension SumTraffic { package var needsData: Bool { true } }
// Without data there is no session either.
extension DisconnectSessions { package var needsData: Bool { true } }
extension UpdateSessions { package var needsData: Bool { true } }
extension ShowKey { package var needsData: Bool { true } }
extension BeginBackup { package var needsData: Bool { true } }
extension ExamineNode { package var needsData: Bool { true } }

extension ApplyBlueprint { package var needsData: Bool { isDryRun } }
extension ImportUsers { package var needsData: Bool { isDryRun } }
