// SPDX-License-Identifier: Apache-2.0
// A file that nobody else ever can read, whole or not there at all.

import Glibc

enum PrivateFile {
    /// Puts it in place of what is there. It has mode 0600 from its first byte on, and its name only once it is on disk.
    ///
    /// - Throws: `SettingsError` with the path.
    static func write(_ bytes: [UInt8], to path: String) throws(SettingsError) {
        let part = path + ".new"
        // Of a node that was cut off.
        unlink(part)
        let descriptor = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failed(path) }
        var isWritten = bytes.withUnsafeBytes { all in
            var rest = all[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                rest = rest.dropFirst(count)
            }
            return fsync(descriptor) == 0
        }
        let reason = errno
        isWritten = close(descriptor) == 0 && isWritten
        guard isWritten, rename(part, path) == 0 else {
            let why = isWritten ? errno : reason
            unlink(part)
            throw failed(path, why)
        }
    }

    private static func failed(_ path: String, _ number: CInt = errno) -> SettingsError {
        SettingsError(description: "\(path) cannot be written: \(String(cString: strerror(number)))")
    }
}
