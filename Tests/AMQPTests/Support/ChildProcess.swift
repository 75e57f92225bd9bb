// A server for the length of a test, in a process group that ends with the tests even when they crash: a shell waits
// for the end of its input, which is a pipe from here, and then kills its group.

import Glibc

final class ChildProcess: Sendable {
    private let pid: pid_t
    private let lifeline: Int32
    private let isOver = Locked(false)

    struct CannotStart: Error { let code: Int32 }

    /// `script` starts the server in the background. The directory gets its `output`, and is
    /// removed when the tests' process ends.
    convenience init(_ script: String, environment: [String: String], removing directory: String) throws {
        try self.init(
            script, environment: environment, in: directory,
            end: "setsid -f sh -c 'sleep 1; rm -rf \(directory)'\nsleep 0.3")
    }

    /// Leaves the directory alone.
    init(_ script: String, environment: [String: String], in directory: String, end: String = "") throws {
        var pipes: [Int32] = [0, 0]
        guard pipe(&pipes) == 0 else { throw CannotStart(code: errno) }
        for end in pipes { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let ends = (read: pipes[0], write: pipes[1])
        defer { Glibc.close(ends.read) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends.read, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "\(directory)/output", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // What other tests have open at this moment is not the server's: a connection that it inherits never ends.
        for file in 3..<min(sysconf(Int32(_SC_OPEN_MAX)), 4096) {
            posix_spawn_file_actions_addclose(&actions, Int32(file))
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        posix_spawnattr_setpgroup(&attributes, 0)
        let whole = "cd \(directory)\n\(script)\nread end\n\(end)\nkill -9 0"
        let arguments = ["/bin/sh", "-c", whole]
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid = pid_t()
        let status = posix_spawn(&pid, "/bin/sh", &actions, &attributes, &argv, &envp)
        guard status == 0 else {
            Glibc.close(ends.write)
            throw CannotStart(code: status)
        }
        self.pid = pid
        self.lifeline = ends.write
    }

    /// SIGSTOP or SIGCONT for the whole group.
    func signal(_ number: Int32) { Glibc.kill(-pid, number) }

    /// `kill -9` for the whole group, and waits until the shell is gone.
    func kill() {
        let wasOver = isOver.with { isOver in
            defer { isOver = true }
            return isOver
        }
        if wasOver { return }
        Glibc.kill(-pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }

    deinit {
        kill()
        Glibc.close(lifeline)
    }

    /// Runs a program to its end, on a thread of its own; its output and exit code.
    static func run(_ script: String, environment: [String: String] = [:]) async -> (code: Int32, output: String) {
        await withCheckedContinuation { continuation in
            Thread.start {
                let exports = environment.map { "export \($0.key)='\($0.value)';" }.joined()
                guard let pipe = popen("{ \(exports) \(script)\n} 2>&1 </dev/null", "re") else {
                    return continuation.resume(returning: (-1, "popen"))
                }
                var output: [UInt8] = []
                while case let byte = fgetc(pipe), byte != EOF { output.append(UInt8(truncatingIfNeeded: byte)) }
                continuation.resume(returning: (pclose(pipe), String(decoding: output, as: UTF8.self)))
            }
        }
    }
}

/// Calls that block must not take Swift's pool.
enum Thread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    static func start(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(Body(body)).toOpaque()
        pthread_create(
            &thread, nil,
            { argument in
                argument.map { Unmanaged<Body>.fromOpaque($0).takeRetainedValue().run() }
                return nil
            }, argument)
        pthread_detach(thread)
    }
}

/// A port that nobody listens on now.
func freePort() -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            bind(descriptor, address, size)
            getsockname(descriptor, address, &size)
        }
        return Int(UInt16(bigEndian: pointer.pointee.sin_port))
    }
}

func writeFile(_ path: String, _ text: String) {
    guard let file = fopen(path, "we") else { return }
    fputs(text, file)
    fclose(file)
}
