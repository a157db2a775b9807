// SPDX-License-Identifier: Apache-2.0
// How Ascend hides a secret in a packet.

/// Ascend-Send-Secret and Ascend-Receive-Secret: 16 bytes XORed with MD5(authenticator + secret). The same both ways.
enum AscendHiding {
    static let length = 16

    static func apply(to value: Authenticator, authenticator: Authenticator, secret: SharedSecret) -> Authenticator {
        var md5 = MD5()
        md5.update(authenticator)
        md5.update(secret.bytes)
        return md5.finish().xor(value)
    }
}
