// SPDX-License-Identifier: Apache-2.0
// The operations on the data itself, for commands that find no running node. Holds the lock of the data directory.

import Administration
import ControlDoor
import Factors
import Logging
import LoginEngine
import Places
import Store

struct OfflineOperations: Sendable {
    let operations: Operations
    let actor: Actor
    private let store: OpenedStore

    static func open(_ settings: Settings) throws(Refusal) -> OfflineOperations {
        let store: OpenedStore
        do throws(StoreError) {
            store = try OpenedStore.open(settings, creating: false)
        } catch {
            throw Refusal(error)
        }
        do throws(Refusal) {
            var ports = Operations.Ports(
                hashPassword: { try await store.hash($0) }, now: { NodeClock.now().wall },
                radiusAddresses: { settings.radiusListen.map { "\($0)" } }, dataDirectory: settings.dataDirectory)
            ports.accountingAddresses = { settings.radiusAccounting.map { "\($0)" } }
            ports.longestGrant = settings.grantsLongest
            ports.replies = try DictionaryFolder.read(in: settings.dataDirectory)
            if let path = settings.countryDatabase {
                let countries = Countries(path: path)
                ports.countries = { Operations.Countries(countries) }
            }
            let tunnel = TunnelFiles(dataDirectory: settings.dataDirectory, name: settings.eapServerName)
            (ports.eapShown, ports.eapServerName) = ({ tunnel.shown }, { tunnel.name })
            ports.publicURL = { settings.pages.url }
            ports.nodeName = NodeLocation.nodeName
            let operations = Operations(records: store.records, ports: ports)
            return OfflineOperations(operations: operations, actor: Peer.own(node: NodeLocation.nodeName), store: store)
        } catch {
            store.close()
            throw error
        }
    }

    func close() {
        store.close()
    }
}

extension Operations.Countries {
    init(_ countries: Countries) {
        self.init(lookup: countries.lookup, problem: countries.problem, built: countries.built)
    }
}
