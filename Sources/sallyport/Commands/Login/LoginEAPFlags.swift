// SPDX-License-Identifier: Apache-2.0
// login --eap: which method, and what its device trusts and shows.

import Administration
import ArgumentParser
import EAP
import Foundation
import TLS

/// A method, and what is spoken inside its tunnel.
enum PeerMethodName: String, ExpressibleByArgument, CaseIterable {
    case tls
    case ttlsPAP = "ttls/pap"
    case ttlsMSCHAPv2 = "ttls/mschapv2"
    case ttlsGTC = "ttls/gtc"
    case peapMSCHAPv2 = "peap/mschapv2"
    case peapGTC = "peap/gtc"
    case gtc
    case msCHAPv2 = "mschapv2"
    case md5

    var isTunnel: Bool { rawValue.contains("/") || self == .tls }

    /// - Parameters:
    ///   - name: of the user, as it is told inside.
    ///   - context: a client's; of a tunnel alone.
    ///   - nonce: 32 random bytes.
    func peer(name: [UInt8], context: TLSContext?, serverName: String?, packet: Int, nonce: [UInt8]) throws -> any EAPPeerMethod {
        switch (self, context) {
        case (.gtc, _): GTCPeer()
        case (.msCHAPv2, _): MSCHAPv2Peer(name: name)
        case (.md5, _): MD5Peer(name: name)
        case (.tls, let context?): try TLSPeer(context: context, serverName: serverName, packet: packet)
        case (.ttlsPAP, let context?):
            try TTLSPeer(context: context, name: name, inner: .pap, serverName: serverName, packet: packet)
        case (.ttlsMSCHAPv2, let context?):
            try TTLSPeer(context: context, name: name, inner: .msCHAPv2, serverName: serverName, packet: packet)
        case (.ttlsGTC, let context?):
            try TTLSPeer(context: context, name: name, inner: .eap(GTCPeer()), serverName: serverName, packet: packet)
        case (.peapMSCHAPv2, let context?):
            try PEAPPeer(
                context: context, name: name, inner: MSCHAPv2Peer(name: name), nonce: nonce, serverName: serverName, packet: packet)
        case (.peapGTC, let context?):
            try PEAPPeer(context: context, name: name, inner: GTCPeer(), nonce: nonce, serverName: serverName, packet: packet)
        case (_, nil): throw Refusal(.failed, "EAP method \(rawValue) needs TLS.")
        }
    }
}

struct LoginEAPFlags: ParsableArguments {
    @Option(help: ArgumentHelp("By EAP: \(PeerMethodName.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "method"))
    var eap: PeerMethodName?
    @Option(help: ArgumentHelp("EAP: who must have signed the server's certificate; without it nobody is asked.", valueName: "file"))
    var ca: String?
    @Option(help: ArgumentHelp("EAP: a name that the server's certificate must have.", valueName: "name")) var serverName: String?
    @Option(help: ArgumentHelp("EAP: the name outside of the tunnel, such as anonymous.", valueName: "name")) var outer: String?
    @Option(help: ArgumentHelp("EAP: the device's certificate, for tls.", valueName: "file"), completion: .file())
    var deviceCertificate: String?
    @Option(help: ArgumentHelp("EAP: its key.", valueName: "file"), completion: .file()) var deviceKey: String?

    func validate() throws {
        let others: [(String?, String)] = [
            (ca, "--ca"), (serverName, "--server-name"), (outer, "--outer"), (deviceCertificate, "--device-certificate"),
            (deviceKey, "--device-key"),
        ]
        guard eap?.isTunnel == true else {
            guard let given = others.first(where: { $0.0 != nil }) else { return }
            throw ValidationError("\(given.1) is for --eap with a tunnel: tls, ttls/… or peap/….")
        }
        guard (deviceCertificate == nil) == (deviceKey == nil) else {
            throw ValidationError("--device-certificate and --device-key belong together.")
        }
        guard eap != .tls || deviceCertificate != nil else {
            throw ValidationError("tls proves the device by --device-certificate and --device-key.")
        }
        guard outer.map({ (1...253).contains($0.utf8.count) }) ?? true else { throw ValidationError("--outer has 1 to 253 bytes.") }
    }

    /// What the device trusts, and shows.
    func context() throws -> TLSContext {
        var settings = TLSSettings()
        if let ca { settings.peerAuthorities = try TextFile.read(ca, limit: 1 << 20) } else { settings.isPinned = { _ in true } }
        if let deviceCertificate, let deviceKey {
            settings.certificates = try TextFile.read(deviceCertificate, limit: 1 << 20)
            settings.key = try TextFile.read(deviceKey, limit: 1 << 20)
        }
        do throws(TLSError) {
            return try TLSContext(.client(), settings)
        } catch {
            throw Refusal(.configuration, "\(error).", place: ca ?? deviceCertificate)
        }
    }
}
