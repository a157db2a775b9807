// SPDX-License-Identifier: Apache-2.0
// Written by scripts/generate-howto from docs/gateways/; do not edit (generated).

enum GatewayTexts {
    static let all: [String: String] = [
        "aws-directory": #"""
        From AWS's documentation of 2026; not run here. Directory Service > the directory >
        Networking & security > Multi-factor authentication > Actions > Enable.

        RADIUS server DNS name or IP addresses   <server>, as both of the directory's DNS addresses reach it
        Port                                     <port> (UDP; AWS takes 1025 and above only)
        Shared secret code                       <secret>
        Protocol                                 <protocols>: any of them
        Server timeout (in seconds)              <timeout> (Sallyport goes by it: --retry-timeout)
        Max RADIUS request retries               <retries> (--retry-tries is one more)

        Requests come from both DNS addresses of the directory:
        sallyport client set <client> --address A --address B
        Users type the code into the field MFA code; login names are those of the directory.
        Security groups: let the directory's addresses reach this server's UDP port.
        """#,
        "checkpoint": #"""
        From Check Point's documentation of R81.20; not run here.

        SmartConsole: Objects > New > More > Server > More > RADIUS.

        Name            sallyport
        Host            a host object with <server>
        Service         NEW-RADIUS (1812); for port <port> another, a UDP service object
        Shared secret   <secret>
        Version         RADIUS Ver. 2.0 Compatible
        Protocol        PAP
        Priority        1

        Gateway > VPN Clients > Authentication > Multiple authentication clients: a login
        option with RADIUS, server sallyport, and Ask user for password on.

        Global Properties > Advanced > Configure > FireWall-1 > Authentication > RADIUS:

        radius_retrant_timeout   <timeout>
        radius_retrant_num       <retries>
        radius_groups_attr       25 (Class), for groups RAD_name

        Install the policy. An external user profile generic* lets in users that Check Point
        does not know by name.
        """#,
        "cisco-anyconnect": #"""
        From Cisco's documentation of Secure Firewall Threat Defense 7.2 and Secure Client 5;
        not run here. For an ASA: sallyport client set <client> --profile cisco-asa.

        In the management center: Objects > Object Management > AAA Server > RADIUS Server
        Group > Add.

        Enable interim account update        on, 1 hour
        Enable dynamic authorization         on, port <disconnect-port>
        RADIUS server, IP Address/Hostname   <server>
        Authentication Port                  <port>
        Key                                  <secret>
        Accounting Port                      <accounting-port>
        Timeout                              <timeout>

        Then Devices > VPN > Remote Access > the policy > the connection profile > AAA:

        Authentication Server          the group
        Accounting Server              the group
        Use secondary authentication   off: Sallyport asks for the code
        Enable Password Management     off

        In the Secure Client profile (Preferences, Part 2): Authentication Timeout 60.
        """#,
        "cisco-asa": #"""
        From Cisco's documentation of ASA 9.16 and later; not run here. retry-interval can
        be 10 at most; timeout is the time for all tries together.

        aaa-server SALLYPORT protocol radius
         interim-accounting-update periodic 1
         dynamic-authorization port <disconnect-port>
        aaa-server SALLYPORT (inside) host <server>
         key <secret>
         authentication-port <port>
         accounting-port <accounting-port>
         retry-interval <timeout>
         timeout <total>
        tunnel-group <client> general-attributes
         authentication-server-group SALLYPORT
         accounting-server-group SALLYPORT
         no password-management

        Take your tunnel group's own name for <client>, and the interface that this server
        is behind for inside. Leave mschapv2-capable as it is: without password-management
        the ASA sends PAP.
        """#,
        "citrix": #"""
        From Citrix's documentation of NetScaler 13.1; not run here.

        add authentication radiusAction sallyport -serverIP <server> -serverPort <port> -radKey <secret>
        set authentication radiusAction sallyport -authTimeout <timeout> -authservRetry <tries> -passEncoding pap
        set authentication radiusAction sallyport -radNASid <client> -radVendorID 66 -radAttributeType 16
        set authentication radiusAction sallyport -accounting ON
        add authentication Policy sallyport -rule true -action sallyport
        bind vpn vserver <client> -policy sallyport -priority 100 -gotoPriorityExpression NEXT
        save ns config

        Take your virtual server's own name for <client>. Requests come from the SNIP, or from
        the NSIP where no route says otherwise: register the one that the log shows.
        """#,
        "fortigate": #"""
        From Fortinet's documentation of FortiOS 7.4; not run here.

        config user radius
            edit "sallyport"
                set server "<server>"
                set secret <secret>
                set radius-port <port>
                set auth-type pap
                set timeout <timeout>
                set nas-id "<client>"
                set acct-interim-interval 600
                config accounting-server
                    edit 1
                        set status enable
                        set server "<server>"
                        set secret <secret>
                        set port <accounting-port>
                    next
                end
            next
        end
        config user group
            edit "vpn-users"
                set member "sallyport"
                config match
                    edit 1
                        set server-name "sallyport"
                        set group-name "vpn-staff"
                    next
                end
            next
        end
        config system global
            set remoteauthtimeout <total>
        end

        Leave require-message-authenticator (7.2.10, 7.4.5 and later) enabled: Sallyport's
        answers carry it. Without a match every accepted user is a member.
        """#,
        "generic": #"""
        RADIUS server             <server>
        Authentication port       <port> (UDP)
        Shared secret             <secret>
        Authentication protocol   <protocols>
        Timeout                   <timeout> seconds (Sallyport goes by it: --retry-timeout)
        Tries in all              <tries> (--retry-tries)
        Accounting                <accounting-port> (UDP), the same secret, interim updates every 10 minutes; or off
        Message-Authenticator     send it, and require it in replies (CVE-2024-3596)

        Let the gateway show challenges if there is a switch for it, and let the user's session
        wait at least 60 seconds for an answer: a prompt is valid for two minutes.
        """#,
        "ivanti": #"""
        From Ivanti's documentation of Connect Secure 9.1 and 22; not run here.

        Authentication > Auth. Servers > New: RADIUS Server.

        Name                                                    sallyport
        NAS-Identifier                                          <client>
        Radius Server                                           <server>
        Authentication Port                                     <port>
        Shared Secret                                           <secret>
        Accounting Port                                         <accounting-port>
        Timeout                                                 <timeout>
        Retries                                                 <retries>
        Users authenticate using tokens or one-time passwords   off
        Process Disconnect requests from RADIUS server          on
        Custom Radius Rules > New > Response Packet Type        Access Challenge
        ... Attribute criteria                                  Reply-Message (18), matches the expression, *
        ... Then take action                                    show Generic Login page

        Then name the server in Users > User Realms > the realm > Authentication.
        """#,
        "juniper": #"""
        From Juniper's documentation of Junos 22.4; not run here.

        set access profile sallyport authentication-order radius
        set access profile sallyport radius-server <server> port <port>
        set access profile sallyport radius-server <server> accounting-port <accounting-port>
        set access profile sallyport radius-server <server> secret "<secret>"
        set access profile sallyport radius-server <server> timeout <timeout>
        set access profile sallyport radius-server <server> retry <tries>
        set access profile sallyport accounting order radius
        set access firewall-authentication web-authentication default-profile sallyport
        set security ike gateway <client> aaa access-profile sallyport
        commit

        Take your IKE gateway's own name for <client>.
        """#,
        "libreswan": #"""
        From the documentation of Libreswan 4.10 and pam_radius 2.0 (Debian 12); not run here.

        # /etc/pam_radius_auth.conf, mode 0600
        <server>:<port>  <secret>  <timeout>

        # /etc/pam.d/pluto
        auth     required  pam_radius_auth.so retry=<retries> client_id=<client> skip_passwd
        account  required  pam_permit.so

        # /etc/ipsec.d/sallyport.conf; the certificate is yours
        conn sallyport
            ikev2=no
            authby=rsasig
            left=%defaultroute
            leftcert=gateway
            leftsubnet=10.20.0.0/16
            leftxauthserver=yes
            leftmodecfgserver=yes
            right=%any
            rightaddresspool=10.99.0.10-10.99.0.250
            rightxauthclient=yes
            rightmodecfgclient=yes
            modecfgpull=yes
            xauthby=pam
            rekey=no
            auto=add
        """#,
        "mikrotik": #"""
        From MikroTik's documentation of RouterOS 7; not run here.

        /radius add service=ppp address=<server> secret=<secret> authentication-port=<port> \
            accounting-port=<accounting-port> timeout=<timeout>s require-message-auth=yes-for-request-resp
        /radius incoming set accept=yes port=<disconnect-port>
        /ppp aaa set use-radius=yes accounting=yes interim-update=10m
        /interface l2tp-server server set authentication=pap
        /interface sstp-server server set authentication=pap

        The default time-out of 300 ms is too short for a password that is hashed. PAP is safe
        inside IPsec or TLS only: keep use-ipsec=required for L2TP.
        """#,
        "ocserv": #"""
        Run here by the tests: ocserv 1.1.6, radcli 1.2.11 and OpenConnect 9.01 of Debian 12.

        # /etc/radcli/radiusclient.conf
        nas-identifier   <client>
        authserver       <server>:<port>
        acctserver       <server>:<accounting-port>
        servers          /etc/radcli/servers
        dictionary       /etc/radcli/dictionary
        default_realm
        radius_timeout   <timeout>
        radius_retries   <tries>
        bindaddr         *

        # /etc/radcli/servers, mode 0600
        <server>   <secret>

        # /etc/ocserv/ocserv.conf
        auth = "radius[config=/etc/radcli/radiusclient.conf,groupconfig=true,nas-identifier=<client>]"
        acct = "radius[config=/etc/radcli/radiusclient.conf,nas-identifier=<client>]"
        stats-report-time = 600
        auth-timeout = 240
        """#,
        "opnsense": #"""
        From OPNsense's source and documentation (24.1); not run here.

        System > Access > Servers > Add.

        Descriptive name         sallyport
        Type                     Radius
        Hostname or IP address   <server>
        Shared Secret            <secret>
        Services offered         Authentication and Accounting
        Authentication port      <port>
        Accounting port          <accounting-port>
        Authentication Timeout   <timeout>

        The number of tries is fixed: 3. Then VPN > OpenVPN > Instances > the instance:
        Authentication sallyport, and Renegotiate time 0, so that no second code is asked for
        after an hour. System > Access > Tester asks with what you type: password,123456.
        """#,
        "palo-alto": #"""
        From Palo Alto's documentation of PAN-OS 10.2 and 11.1; not run here.

        set shared server-profile radius sallyport timeout <timeout>
        set shared server-profile radius sallyport retries <retries>
        set shared server-profile radius sallyport protocol PAP
        set shared server-profile radius sallyport server sp1 ip-address <server>
        set shared server-profile radius sallyport server sp1 port <port>
        set shared server-profile radius sallyport server sp1 secret <secret>
        set shared authentication-profile sallyport method radius server-profile sallyport
        set shared authentication-profile sallyport method radius checkgroup yes
        set shared authentication-profile sallyport allow-list all
        set deviceconfig setting global-protect timeout <total>
        commit

        Then name the authentication profile in Network > GlobalProtect > Portals and
        Gateways > Authentication, and let the gateway accept the portal's authentication
        override cookie, or users type two codes.
        """#,
        "pam_radius": #"""
        Run here by the tests: pam_radius 2.0 of Debian 12 (libpam-radius-auth).

        # /etc/pam_radius_auth.conf, mode 0600
        <server>:<port>  <secret>  <timeout>

        # /etc/pam.d/sshd, in the place of @include common-auth
        auth  required  pam_radius_auth.so retry=<retries> client_id=<client> prompt_attribute

        For SSH also set KbdInteractiveAuthentication yes and UsePAM yes in sshd_config: the
        prompt for the code needs it. Keep a second way in open while you try.
        """#,
        "pfsense": #"""
        From Netgate's documentation of pfSense 2.7; not run here.

        System > User Manager > Authentication Servers > Add.

        Descriptive name          sallyport
        Type                      RADIUS
        Protocol                  PAP
        Hostname or IP address    <server>
        Shared Secret             <secret>
        Services offered          Authentication and Accounting
        Authentication port       <port>
        Accounting port           <accounting-port>
        Authentication Timeout    <timeout>
        RADIUS NAS IP Attribute   the interface that reaches this server

        VPN > OpenVPN > Servers > the server: Backend for authentication sallyport, and among
        the custom options reneg-sec 0, so that no second code is asked for after an hour.
        Diagnostics > Authentication asks with what you type: password,123456.
        """#,
        "sonicwall": #"""
        From SonicWall's documentation of SonicOS 7.0 (6.5 is alike); not run here.

        Device > Users > Settings > Authentication: user authentication method RADIUS or
        RADIUS + Local Users, then Configure RADIUS > Settings > Add.

        Host Name or IP Address                     <server>
        Port                                        <port>
        Shared Secret                               <secret> (31 characters at most in old releases)
        RADIUS Server Timeout (seconds)             <timeout>
        Retries                                     <retries>
        RADIUS Users > group lookup by              SonicWall vendor-specific attribute on RADIUS server
        SSL VPN > Server Settings > Use RADIUS in   off, or the password is sent by MS-CHAP
        RADIUS Accounting > server                  <server>, port <accounting-port>, the same secret

        Its own One-Time Password of local groups stays off: Sallyport asks.
        """#,
        "sophos": #"""
        From Sophos's documentation of SFOS 19 and 20; not run here.

        Authentication > Servers > Add.

        Server type            RADIUS server
        Server IP              <server>
        Authentication port    <port>
        Time-out (seconds)     <timeout>
        Enable accounting      on, port <accounting-port>
        Shared secret          <secret>
        Group name attribute   Filter-Id

        Test connection there asks with what you type: use password,123456. Then Authentication >
        Services: put the server first for VPN (IPsec/dial-in/L2TP/PPTP) and SSL VPN. The
        firewall's own MFA (Authentication > Multi-factor authentication) stays off for these
        users: Sallyport asks.
        """#,
        "strongswan": #"""
        Taken by strongSwan 5.9.8, run here by the tests.

        # /etc/strongswan.d/sallyport.conf, mode 0600
        charon {
          plugins {
            eap-radius {
              load = yes
              accounting = yes
              accounting_interval = 600
              class_group = yes
              nas_identifier = <client>
              retransmit_base = 1.0
              retransmit_timeout = <timeout>
              retransmit_tries = <tries>
              station_id_with_port = no
              servers {
                sallyport {
                  address = <server>
                  auth_port = <port>
                  acct_port = <accounting-port>
                  secret = <secret>
                }
              }
              xauth {
                code {
                  password = Password
                  passcode = Code
                }
              }
              dae {
                enable = yes
                port = <disconnect-port>
                secret = <secret>
              }
            }
          }
        }

        # /etc/swanctl/conf.d/sallyport.conf; the certificate is yours
        connections {
          sallyport {
            version = 1
            pools = sallyport
            local {
              auth = pubkey
              certs = gateway.pem
            }
            remote-1 {
              auth = pubkey
            }
            remote-2 {
              auth = xauth-radius
            }
            children {
              net {
                local_ts = 10.20.0.0/16
              }
            }
          }
        }
        pools {
          sallyport {
            addrs = 10.99.0.0/24
          }
        }

        With auth = xauth-radius:code it asks for password and code in turn, where the client
        can show that.

        # /etc/swanctl/conf.d/sallyport-ikev2.conf; the certificate is yours
        connections {
          sallyport-ikev2 {
            version = 2
            pools = sallyport
            send_cert = always
            local {
              auth = pubkey
              certs = gateway.pem
            }
            remote {
              auth = eap-radius
              eap_id = %any
            }
            children {
              net {
                local_ts = 10.20.0.0/16
              }
            }
          }
        }

        With pools = radius it gives the Framed-IP-Address of the accept, and no address to whom Sallyport names none.
        It needs the plugins eap-radius and eap-identity. Devices compare the certificate's names
        with the address that they dial: give local an id that stands in it.
        """#,
        "ubiquiti": #"""
        From Ubiquiti's help pages (Network 8); not run here.

        Settings > Profiles > RADIUS > Create New.

        Name                      sallyport
        Authentication Servers    <server>, port <port>, shared secret <secret>
        Accounting                on, <server>, port <accounting-port>, the same secret
        Interim Update Interval   600

        Settings > VPN > VPN Server: L2TP or OpenVPN, RADIUS profile sallyport. For L2TP leave
        Require Strong Authentication (MS-CHAP v2) off, and set PAP on the device.
        """#,
        "windows-rras": #"""
        From Microsoft's documentation of Windows Server 2019 and 2022; not run here.

        Routing and Remote Access > the server > Properties > Security.

        Authentication provider            RADIUS Authentication > Configure > Add
        Server name                        <server>
        Shared secret                      <secret>
        Time-out (seconds)                 <total>
        Port                               <port>
        Always use message authenticator   on
        Accounting provider                RADIUS Accounting > Configure > Add
        ... Server name, port              <server>, <accounting-port>; the same secret
        Authentication Methods             Unencrypted password (PAP), and nothing else

        On the user's device: Properties of the connection > Security > Allow these protocols >
        Unencrypted password (PAP). As a command there:

        Set-VpnConnection -Name Office -AuthenticationMethod Pap -EncryptionLevel Required
        """#,
    ]
}
