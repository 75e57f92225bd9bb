// Reads files and standard input as bytes, with the system's own words when that fails.

import Glibc

struct FileFailure: Error, CustomStringConvertible {
    let description: String
}

enum FileBytes {
    /// No message is larger; reading stops here rather than at the end of memory.
    static let limit = 512 << 20

    static func read(_ path: String) throws(FileFailure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path) }
        defer { close(descriptor) }
        return try read(descriptor: descriptor, name: path)
    }

    static func read(descriptor: Int32, name: String) throws(FileFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            var count = 0
            let chunk = [UInt8](unsafeUninitializedCapacity: 256 * 1024) { buffer, filled in
                count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                filled = max(0, count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(name) }
            guard count > 0 else { return bytes }
            bytes += chunk
            guard bytes.count <= limit else {
                throw FileFailure(description: "\(Visible.text(name)) is larger than \(limit >> 20) MiB")
            }
        }
    }

    /// - Returns: whether all of it was written; else `errno` says why.
    static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return false }
            rest = rest.dropFirst(written)
        }
        return true
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    private static func failure(_ name: String) -> FileFailure {
        FileFailure(description: "cannot read \(Visible.text(name)): \(String(cString: strerror(errno)))")
    }
}
