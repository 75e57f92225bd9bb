// The instance's own folder: only its user may look inside, and only one process at a time works in it.

import FoundationEssentials
import Glibc
import Synchronization

/// Something that keeps the start from going on, in words for a person.
struct StartError: Error, CustomStringConvertible {
    let description: String
}

final class DataDirectory: Sendable {
    let path: String
    /// Held open for as long as the process lives: closing it would end the lock.
    private let lock: CInt?

    /// Makes the folder where it is missing, and takes it for this process.
    /// - Parameter isShared: other processes may use it as well, because the database is elsewhere.
    /// - Throws: `StartError` when it cannot be made, or another process has it.
    init(path: String, isShared: Bool) throws {
        self.path = path
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw StartError(description: "the data directory \(path) cannot be made; check POSTERN_DATA_DIR")
        }
        guard !isShared else {
            lock = nil
            return
        }
        let lock = open("\(path)/postern.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw StartError(description: "the data directory \(path) cannot be written") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw StartError(
                description: "another postern works in \(path); stop it, or choose another POSTERN_DATA_DIR")
        }
        self.lock = lock
    }

    deinit { if let lock { close(lock) } }

    /// Writes a file that only this user may read, in one step: a crash leaves the old one or the new one.
    static func writePrivately(_ text: String, to path: String) throws {
        let temporary = "\(path).new"
        let file = open(temporary, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StartError(description: "\(temporary) cannot be written") }
        defer { close(file) }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { write(file, $0.baseAddress! + written, bytes.count - written) }
            guard count > 0 else { throw StartError(description: "\(temporary) cannot be written") }
            written += count
        }
        guard fsync(file) == 0, rename(temporary, path) == 0 else {
            throw StartError(description: "\(path) cannot be written")
        }
        // The name has to be on disk as well: what the master key seals is worth nothing without it.
        let parent = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return }
        defer { close(folder) }
        _ = fsync(folder)
    }
}
