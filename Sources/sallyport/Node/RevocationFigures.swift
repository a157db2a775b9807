// SPDX-License-Identifier: Apache-2.0
// What is fetched and asked about revoked certificates of EAP, for `/metrics`.

import LoginEngine
import Metrics
import TLS

struct RevocationFigures: Sendable {
    private let tunnel: TunnelKeeper
    private let ends = Gauge(label: "sallyport_eap_crl_ends_seconds")
    private let fetched: [GrowingFigure]
    private let asked: [GrowingFigure]
    private let staple = Gauge(label: "sallyport_eap_staple_ends_seconds")

    init(_ tunnel: TunnelKeeper) {
        self.tunnel = tunnel
        fetched = ["new", "same", "failed"].map { GrowingFigure("sallyport_eap_crl_fetches_total", [("outcome", $0)]) }
        asked = ["good", "revoked", "unknown", "failed", "kept"].map { GrowingFigure("sallyport_eap_ocsp_total", [("outcome", $0)]) }
    }

    func refresh(at now: Timestamp) {
        // One that does not say when it ends is no reason to look.
        let lists = (tunnel.inForce?.devices?.lists ?? []).map(\.ends).filter { $0 != .max }
        ends.record(lists.min() ?? 0)
        let lookedUp = tunnel.lists.figures
        for (figure, value) in zip(fetched, [lookedUp.fresh, lookedUp.same, lookedUp.failed]) { figure.reach(value) }
        if let told = tunnel.status?.figures {
            for (figure, value) in zip(asked, [told.good, told.revoked, told.unknown, told.failed, told.kept]) { figure.reach(value) }
        }
        staple.record(tunnel.staple?.health(at: now).ends?.seconds ?? 0)
    }
}
