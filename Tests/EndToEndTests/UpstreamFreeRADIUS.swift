// SPDX-License-Identifier: Apache-2.0
// FreeRADIUS as the server that knows passwords: PAP, CHAP, MS-CHAP, a question of its own, attributes, Status-Server.

import Foundation
import Glibc
import LoginEngine
import RADIUSDoor
import Testing

struct UpstreamFreeRADIUS: Sendable {
    static let secret = "upstream-shared-secret"
    static let password = "Pass w0rd of upstream"

    let port: UInt16
    private let running: RunningProgram
    private let folder: TemporaryFolder

    var log: String { folder.text(of: "radius.log") }
    var address: String { "127.0.0.1:\(port)" }

    /// - Parameters:
    ///   - wanted: the port of one that was stopped; else a free one is looked for, since it cannot tell which it was given.
    ///   - signs: whether its replies carry Message-Authenticator, which versions before 3.2.5 leave out by themselves.
    static func start(port wanted: UInt16? = nil, signs: Bool = true) async throws -> UpstreamFreeRADIUS {
        let folder = try TemporaryFolder()
        let sign = signs ? "update reply {\n&Message-Authenticator := 0x00\n}\n" : ""
        let port = wanted ?? UInt16.random(in: 30_000..<32_000)
        _ = try folder.file("dictionary", "")
        let users = try folder.file(
            "users",
            """
            carol Cleartext-Password := "\(password)"
            DEFAULT Cleartext-Password := "\(password)"
                Class := "of-upstream",
                Filter-Id := "upstream-filter",
                Session-Timeout := 4242

            """)
        _ = try folder.file(
            "radiusd.conf",
            """
            prefix = /usr
            localstatedir = \(folder.path)
            sysconfdir = \(folder.path)
            libdir = /usr/lib/freeradius
            raddbdir = \(folder.path)
            logdir = \(folder.path)
            run_dir = \(folder.path)
            pidfile = \(folder.path)/radiusd.pid
            max_request_time = 30
            cleanup_delay = 5
            max_requests = 1024
            log {
                destination = files
                file = \(folder.path)/radius.log
            }
            security {
                reject_delay = 0
                status_server = yes
            }
            proxy_requests = no
            client loopback {
                ipaddr = 127.0.0.1
                secret = \(secret)
                require_message_authenticator = yes
            }
            modules {
                files {
                    usersfile = \(users)
                }
                always reject {
                    rcode = reject
                }
                always handled {
                    rcode = handled
                }
                pap {
                }
                chap {
                }
                mschap {
                    use_mppe = yes
                    with_ntdomain_hack = yes
                }
            }
            server default {
                listen {
                    type = auth
                    ipaddr = 127.0.0.1
                    port = \(port)
                }
                authorize {
                    if (&User-Name == "carol" && &State) {
                        if (&User-Password == "4711") {
                            update control {
                                &Auth-Type := Accept
                            }
                        }
                        else {
                            reject
                        }
                    }
                    else {
                        chap
                        mschap
                        files
                        pap
                    }
                }
                authenticate {
                    Auth-Type PAP {
                        pap
                        if (&User-Name == "carol") {
                            update reply {
                                &Reply-Message := "Code of the old token?"
                                &State := 0x6f6c642d7374617465
                                &Prompt := No-Echo
                            }
                            update control {
                                &Response-Packet-Type := Access-Challenge
                            }
                            handled
                        }
                    }
                    Auth-Type CHAP {
                        chap
                    }
                    Auth-Type MS-CHAP {
                        mschap
                    }
                }
                post-auth {
                    \(sign)
                    Post-Auth-Type REJECT {
                        \(sign)
                    }
                    Post-Auth-Type Challenge {
                        \(sign)
                    }
                }
            }
            """)
        let program = try #require(Program(installed: "freeradius"))
        let running = try await program.start(["-f", "-d", folder.path, "-n", "radiusd"])
        let isHere = try await eventually(seconds: 20) { folder.text(of: "radius.log").contains("Ready to process requests") }
        try #require(isHere, "\(folder.text(of: "radius.log"))")
        return UpstreamFreeRADIUS(port: port, running: running, folder: folder)
    }

    func stop() async throws {
        running.signal(SIGTERM)
        _ = try await running.end()
    }
}
