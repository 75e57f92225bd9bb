// Where logins are kept: $XDG_CONFIG_HOME/postern/credentials.json, which nobody else may read. It is replaced as a whole,
// and changed by one command at a time.

import Glibc

struct LoginFile: Sendable {
    /// Longest wait for other commands, in seconds: one that is refreshing has 30 for its call.
    private static let patience = 60

    private let directory: String

    /// - Returns: `nil` where neither XDG_CONFIG_HOME nor HOME says where a user's configuration is.
    init?(_ terminal: Terminal) {
        // XDG Base Directory: a relative path is none.
        if let configuration = terminal.environment("XDG_CONFIG_HOME"), configuration.hasPrefix("/") {
            directory = "\(configuration)/postern"
        } else if let home = terminal.environment("HOME"), home.hasPrefix("/") {
            directory = "\(home)/.config/postern"
        } else {
            return nil
        }
    }

    init(directory: String) { self.directory = directory }

    var path: String { "\(directory)/credentials.json" }

    /// - Returns: an empty book where there is no file.
    /// - Throws: for a file that others can read, or that holds something else.
    func read() throws(FileFailure) -> LoginBook {
        guard FileBytes.exists(path) else { return LoginBook() }
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileFailure("cannot look at \(path)") }
        guard status.st_mode & 0o077 == 0 else {
            throw FileFailure(description: "\(Visible.text(path)) is open to other users; run: chmod 600 \(path)")
        }
        let bytes = try FileBytes.read(path)
        do throws(FileFailure) {
            return try LoginBook(bytes)
        } catch {
            throw FileFailure(description: "\(Visible.text(path)) cannot be used: \(error)")
        }
    }

    /// What can be read; what cannot is worth a note, and no more: the command may not need it.
    func readable(_ terminal: Terminal) -> LoginBook {
        do throws(FileFailure) {
            return try read()
        } catch {
            terminal.note("postern: \(error)")
            return LoginBook()
        }
    }

    /// Reads, lets `edit` change, and writes, while every other command that wants to change waits. So a refresh token, which
    /// is good once, is used by one command, and the others find the new one.
    /// What `edit` changed is written also when it fails.
    func change<Result: Sendable>(
        _ edit: (inout LoginBook) async throws(CommandFailure) -> Result
    ) async throws(CommandFailure) -> Result {
        do throws(FileFailure) { try makeDirectory() } catch { throw .failed(error.description) }
        let lock = open("\(directory)/credentials.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw .failed(FileFailure("cannot open \(directory)/credentials.lock").description) }
        // The end of this descriptor is the end of the lock, also for a command that is killed.
        defer { close(lock) }
        try await hold(lock)
        var book: LoginBook
        do throws(FileFailure) { book = try read() } catch { throw .failed(error.description) }
        let before = book.bytes
        let result: Swift.Result<Result, CommandFailure>
        do throws(CommandFailure) { result = .success(try await edit(&book)) } catch { result = .failure(error) }
        if book.bytes != before {
            do throws(FileFailure) { try write(book.bytes) } catch { throw .failed(error.description) }
        }
        return try result.get()
    }

    /// Asks again and again instead of waiting in the kernel, which would hold a thread of the pool.
    private func hold(_ lock: Int32) async throws(CommandFailure) {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(Self.patience)
        while flock(lock, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else {
                throw .failed(FileFailure("cannot lock \(path)").description)
            }
            guard clock.now < deadline else {
                throw .timedOut("another postern command has held \(path) for \(Self.patience) s")
            }
            do { try await clock.sleep(for: .milliseconds(20)) } catch { throw .failed("given up") }
        }
    }

    private func makeDirectory() throws(FileFailure) {
        var path = ""
        for segment in directory.split(separator: "/") {
            path += "/\(segment)"
            guard mkdir(path, 0o700) == 0 || errno == EEXIST || errno == EISDIR else {
                throw FileFailure("cannot make \(path)")
            }
        }
        guard chmod(directory, 0o700) == 0 else { throw FileFailure("cannot close \(directory) to others") }
    }

    /// Under another name first: a reader sees the old file or the new one, and a full disk leaves the old one.
    private func write(_ bytes: [UInt8]) throws(FileFailure) {
        let draft = "\(path).\(getpid()).new"
        unlink(draft)
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileFailure("cannot write \(draft)") }
        let isWritten = FileBytes.writeAll(bytes, to: descriptor) && fsync(descriptor) == 0
        let problem = FileFailure("cannot write \(draft)")
        guard close(descriptor) == 0, isWritten else {
            unlink(draft)
            throw problem
        }
        guard rename(draft, path) == 0 else {
            let problem = FileFailure("cannot replace \(path)")
            unlink(draft)
            throw problem
        }
    }
}

extension FileFailure {
    /// With the system's own words for what went wrong last.
    fileprivate init(_ what: String) {
        self.init(description: "\(Visible.text(what)): \(String(cString: strerror(errno)))")
    }
}
