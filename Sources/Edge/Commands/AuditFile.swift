// An export on its way into a file that only its owner may read, and that is there as a whole or not at all.

import Glibc

struct AuditFile {
    private let path: String
    private let descriptor: Int32

    private static func partial(_ path: String) -> String { "\(path).partial" }

    /// - Throws: where the file exists already: an export never takes another one's place.
    init(path: String) throws(CommandFailure) {
        guard access(path, F_OK) != 0 else { throw .failed("\(path) is there already; name another file") }
        let descriptor = open(Self.partial(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .failed("cannot write \(path): \(String(cString: strerror(errno)))") }
        self.path = path
        self.descriptor = descriptor
    }

    func write(_ bytes: [UInt8]) throws(CommandFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .failed("cannot write \(path): \(String(cString: strerror(errno)))") }
            rest = rest.dropFirst(count)
        }
    }

    /// Nothing more comes: the file gets its name.
    func keep() throws(CommandFailure) {
        let isSafe = fsync(descriptor) == 0
        let isClosed = close(descriptor) == 0
        guard isSafe, isClosed, rename(Self.partial(path), path) == 0 else {
            throw .failed("cannot write \(path): \(String(cString: strerror(errno)))")
        }
    }

    func abandon() {
        close(descriptor)
        unlink(Self.partial(path))
    }
}
