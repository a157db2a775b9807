// SPDX-License-Identifier: Apache-2.0
// The certificate that devices see by EAP-TTLS and PEAP: whether it still holds.

import Administration
import LoginEngine

enum TunnelCheck {
    static func findings(_ keeper: TunnelKeeper, now: Timestamp) -> [Finding] {
        guard let inForce = keeper.inForce else { return [] }
        return [finding(inForce, file: keeper.file, now: now)]
    }

    static func finding(_ inForce: TunnelKeeper.InForce, file: String, now: Timestamp) -> Finding {
        let end = Instant(inForce.expires)
        let remedy = "Put a new one into \(file), with its key, or take both away to have them made here; then restart the node."
        if inForce.expires <= now {
            return Finding(
                .certificateEnded, file, "The certificate \(inForce.subject) of EAP expired at \(end): devices refuse it.", remedy: remedy)
        }
        if inForce.expires - now <= RadSecKeeper.notice {
            return Finding(.certificateEnding, file, "The certificate \(inForce.subject) of EAP expires at \(end).", remedy: remedy)
        }
        return Finding(.certificateRight, file, "EAP-TTLS and PEAP show \(inForce.subject), which holds until \(end).")
    }
}
