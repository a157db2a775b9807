// SPDX-License-Identifier: Apache-2.0
// OpenLDAP's slapd with people, groups in groups, an authority of its own, LDAPS and StartTLS.

import Foundation
import Glibc
import TestSupport
import Testing

struct Slapd: Sendable {
    static let base = "dc=corp,dc=example"
    static let reader = "cn=reader,dc=corp,dc=example"
    static let readerPassword = "reader's own password"
    static let password = "Pass w0rd of slapd"

    let port: UInt16
    let tlsPort: UInt16
    let authority: TestAuthority
    private let running: RunningProgram
    private let folder: TemporaryFolder

    var plain: String { "ldap://127.0.0.1:\(port)" }
    var startTLS: String { "starttls://127.0.0.1:\(port)" }
    var tls: String { "ldaps://127.0.0.1:\(tlsPort)" }

    /// - Parameter names: what its certificate is for.
    static func start(names: [String] = ["IP:127.0.0.1"]) async throws -> Slapd {
        let folder = try TemporaryFolder()
        let authority = try TestAuthority("corp-ca", in: folder.path)
        let issued = try authority.issue("ldap", alternatives: names, for: "serverAuth")
        try FileManager.default.createDirectory(atPath: folder.path + "/data", withIntermediateDirectories: true)
        let (port, tlsPort) = (try freePort(), try freePort())
        let configuration = try folder.file(
            "slapd.conf",
            """
            include /etc/ldap/schema/core.schema
            include /etc/ldap/schema/cosine.schema
            include /etc/ldap/schema/inetorgperson.schema
            pidfile \(folder.path)/slapd.pid
            modulepath /usr/lib/ldap
            moduleload back_mdb
            moduleload memberof
            moduleload ppolicy
            TLSCACertificateFile \(authority.certificate)
            TLSCertificateFile \(issued.certificate)
            TLSCertificateKeyFile \(issued.key)
            database mdb
            maxsize 67108864
            suffix "\(base)"
            rootdn "cn=root,\(base)"
            rootpw root
            directory \(folder.path)/data
            dbnosync
            index member eq
            index uid eq
            overlay memberof
            memberof-group-oc groupOfNames
            overlay ppolicy
            ppolicy_use_lockout
            limits dn.exact="\(reader)" size=unlimited
            access to attrs=userPassword by self write by anonymous auth by * none
            access to * by dn.exact="\(reader)" read by self read by anonymous auth by * none

            """)
        let program = try #require(Program(installed: "slapd"))
        let running = try await program.start([
            "-d", "0", "-f", configuration, "-h", "ldap://127.0.0.1:\(port) ldaps://127.0.0.1:\(tlsPort)",
        ])
        let slapd = Slapd(port: port, tlsPort: tlsPort, authority: authority, running: running, folder: folder)
        let isHere = try await eventually(seconds: 20) { Slapd.listens(port) }
        try #require(isHere, "\(running.errors)")
        try await slapd.add(people)
        return slapd
    }

    func stop() async throws {
        running.signal(SIGTERM)
        _ = try await running.end()
    }

    /// As the administrator of the directory.
    func add(_ ldif: String) async throws {
        try await change("ldapadd", ldif)
    }

    func modify(_ ldif: String) async throws {
        try await change("ldapmodify", ldif)
    }

    private func change(_ name: String, _ ldif: String) async throws {
        let program = try #require(Program(installed: name))
        let done = try await program.run(
            ["-x", "-H", "ldap://127.0.0.1:\(port)", "-D", "cn=root,\(Self.base)", "-w", "root"], input: ldif)
        try #require(done.status == 0, "\(done.everything)")
    }

    private static func listens(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        return withAddress(port) { connect(descriptor, $0, $1) } == 0
    }

    private static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        try #require(withAddress(0) { bind(descriptor, $0, $1) } == 0)
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
        }
        return UInt16(bigEndian: name.sin_port)
    }

    private static func withAddress(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        name.sin_port = port.bigEndian
        return withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    static func person(_ uid: String, _ more: String = "") -> String {
        """
        dn: uid=\(uid),ou=people,\(base)
        objectClass: inetOrgPerson
        uid: \(uid)
        cn: \(uid)
        sn: \(uid)
        mail: \(uid)@corp.example
        mobile: +49 171 1234567
        userPassword: \(password)
        \(more.isEmpty ? "" : more + "\n")

        """
    }

    static func group(_ name: String, _ members: String...) -> String {
        """
        dn: cn=\(name),ou=groups,\(base)
        objectClass: groupOfNames
        cn: \(name)
        \(members.map { "member: \($0),\(base)" }.joined(separator: "\n"))


        """
    }

    /// alice is in Engineers, which is in VPN Users and Circle, which is in Engineers again; bob is in nothing. carol's password has to be
    /// changed, dan is locked, and `twin` stands there twice.
    private static let people =
        """
        dn: \(base)
        objectClass: organization
        objectClass: dcObject
        o: corp
        dc: corp

        dn: \(reader)
        objectClass: organizationalRole
        objectClass: simpleSecurityObject
        cn: reader
        userPassword: \(readerPassword)

        dn: ou=people,\(base)
        objectClass: organizationalUnit
        ou: people

        dn: ou=old,\(base)
        objectClass: organizationalUnit
        ou: old

        dn: ou=groups,\(base)
        objectClass: organizationalUnit
        ou: groups

        dn: cn=policy,\(base)
        objectClass: device
        objectClass: pwdPolicy
        cn: policy
        pwdAttribute: userPassword
        pwdMustChange: TRUE
        pwdLockout: TRUE


        """ + person("alice") + person("bob") + person("carol", "pwdPolicySubentry: cn=policy,\(base)\npwdReset: TRUE")
        + person("dan", "pwdPolicySubentry: cn=policy,\(base)\npwdAccountLockedTime: 000001010000Z") + person("twin")
        + person("twin").replacing("ou=people", with: "ou=old")
        + group("Engineers", "uid=alice,ou=people", "cn=Circle,ou=groups") + group("Circle", "cn=Engineers,ou=groups")
        + group("VPN Users", "cn=Engineers,ou=groups")
}
