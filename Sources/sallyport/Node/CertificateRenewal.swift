// SPDX-License-Identifier: Apache-2.0
// Has the authority issue the certificate of EAP when it is needed, and anew before it ends.

import Administration
import LoginEngine
import Store
import Synchronization

final class CertificateRenewal: Sendable {
    private let tunnel: TunnelKeeper
    private let records: Records
    private let asked = Mutex<Operations?>(nil)
    /// One at a time: two would issue two certificates, and one of them for nothing.
    private let isBusy = Atomic<Bool>(false)

    init(tunnel: TunnelKeeper, records: Records) {
        (self.tunnel, self.records) = (tunnel, records)
    }

    /// Set once, when there are any.
    var operations: Operations? {
        get { asked.withLock { $0 } }
        set { asked.withLock { $0 = newValue } }
    }

    /// - Returns: whether there is a new certificate to take into use.
    @discardableResult
    func renew() async throws(Refusal) -> Bool {
        guard let operations else { return false }
        guard !isBusy.exchange(true, ordering: .acquiringAndReleasing) else {
            throw Refusal(.unavailable, "The certificate of EAP is being made.", remedy: "Try again.")
        }
        defer { isBusy.store(false, ordering: .releasing) }
        do {
            return try await tunnel.renew(for: try records.clients(), by: operations, at: NodeClock.now().wall)
        } catch let refusal as Refusal {
            throw refusal.at("the certificate of EAP")
        } catch let error as StoreError {
            throw Refusal(error)
        } catch {
            throw Refusal(.configuration, "The certificate of EAP cannot be made: \(error)")
        }
    }
}
