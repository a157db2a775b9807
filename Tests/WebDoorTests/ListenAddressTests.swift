// SPDX-License-Identifier: Apache-2.0

import Testing
import WebDoor

@Suite struct ListenAddressTests {
    @Test(arguments: [
        ("127.0.0.1:9090", "127.0.0.1:9090"), ("0.0.0.0:0", "0.0.0.0:0"), ("[::]:1812", "[::]:1812"), ("[0:0::1]:65535", "[::1]:65535"),
        ("[2001:db8::5]:80", "[2001:db8::5]:80"),
    ])
    func addressesAreReadAndWritten(text: String, written: String) throws {
        #expect(try ListenAddress(text).description == written)
    }

    @Test(arguments: [
        ("1812", "write \"0.0.0.0:1812\" or \"[::]:1812\""), ("127.0.0.1", "has no port"), ("::1", "has no port"),
        ("", "is not an address"),
        ("127.0.0.1:65536", "between 0 and 65535"), ("127.0.0.1:-1", "between 0 and 65535"), ("127.0.0.1:", "between 0 and 65535"),
        ("localhost:80", "does not begin with an IP address"), (":80", "does not begin with an IP address"),
        ("[127.0.0.1]:80", "does not begin with an IP address"), ("[::1:80", "does not begin with an IP address"),
        ("[::1]80", "between 0 and 65535"), ("[fe80::1%eth0]:80", "does not begin with an IP address"),
    ])
    func whatIsNoAddressIsExplained(text: String, words: String) {
        do {
            _ = try ListenAddress(text)
            Issue.record("\(text) was taken")
        } catch {
            #expect(error.description.contains(words), "\(error)")
        }
    }
}
