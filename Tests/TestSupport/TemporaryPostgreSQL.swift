// A PostgreSQL server for tests: one for the whole process, or one that a test may stop and start as it likes.

import CPQ
import Dispatch
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// The server belongs to a small shell that reads our commands. When this process ends, in whatever way, the shell stops the
/// server and takes its files away.
package final class TemporaryPostgreSQL: Sendable {
    /// The password of the user `postgres` over TCP; the socket asks for none.
    package static let password = "tests-only"

    /// Where the server is, with the database `postgres`.
    private let adminURL: String
    /// Writes commands to the shell; -1 for a server that is not ours.
    private let commands: Int32
    /// Data, socket and log; empty for a server that is not ours.
    package let directory: String
    package let port: Int
    private let databases = Mutex(0)

    /// The server of `POSTERN_TEST_POSTGRES_URL`, or one that is started now and lives as long as this process.
    package static func shared() async throws -> TemporaryPostgreSQL {
        try await Starting.shared.server()
    }

    /// Starts a server of the test's own.
    /// - Parameters:
    ///   - settings: lines for `postgresql.conf`.
    ///   - prepare: puts files into the data directory before the first start.
    package static func start(
        settings: [String] = [],
        prepare: (@Sendable (_ data: String) throws -> Void)? = nil
    ) async throws -> TemporaryPostgreSQL {
        let server = try await offThePool { try TemporaryPostgreSQL(settings: settings, prepare: prepare) }
        try await server.untilReady()
        return server
    }

    private init(settings: [String], prepare: ((String) throws -> Void)?) throws {
        let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(parent)/postern-pg-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw NoTemporaryDirectory() }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        port = try freePort()
        adminURL = "postgresql://postgres@/postgres?host=\(directory)&port=\(port)"
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw NeverHappened("a pipe") }
        commands = ends[1]
        // No other child may hold our end, or the shell would never see us go.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let data = directory + "/data"
        let guardian = """
            as=""
            if [ "$(id -u)" = 0 ]; then
                as="setpriv --reuid=postgres --regid=postgres --init-groups"
                chown postgres: "$1"
            fi
            for folder in /usr/lib/postgresql/*/bin; do PATH="$folder:$PATH"; done
            export PATH LC_ALL=C.UTF-8
            echo \(Self.password) > "$1/password" && chmod 644 "$1/password"
            cd "$1" && $as initdb -D data -U postgres -E UTF8 --locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US \\
                --auth-local=trust --auth-host=scram-sha-256 --pwfile="$1/password" --no-sync || echo failed > failed
            echo done > initialised
            pid=""
            while read -r command; do
                case "$command" in
                start) $as postgres -D data & pid=$! ;;
                stop) kill -INT $pid; wait $pid ;;
                kill) kill -QUIT $pid; wait $pid ;;
                esac
            done
            kill -QUIT $pid; wait $pid
            rm -rf "$1"
            """
        try spawn(
            ["/bin/sh", "-c", guardian, "guardian", directory], input: ends[0], log: directory + "/log")
        close(ends[0])
        try Self.patiently { access(self.directory + "/initialised", F_OK) == 0 }
        guard access(directory + "/failed", F_OK) != 0, let file = fopen(data + "/postgresql.conf", "a") else {
            throw NeverHappened("initdb: \(String(decoding: fileBytes(directory + "/log"), as: UTF8.self))")
        }
        // A deadlock is looked for sooner than usual; fsync stays on.
        let lines = [
            "port = \(port)", "listen_addresses = '127.0.0.1'", "unix_socket_directories = '\(directory)'",
            "max_connections = 200", "shared_buffers = 64MB", "deadlock_timeout = 200ms",
        ]
        for line in lines + settings { fputs(line + "\n", file) }
        fclose(file)
        try prepare?(data)
        send("start")
    }

    private init(adminURL: String) {
        self.adminURL = adminURL
        commands = -1
        directory = ""
        port = 0
    }

    deinit { if commands >= 0 { close(commands) } }

    /// Waits for running transactions to be cut off, and writes a checkpoint.
    package func stop() async throws { try await end("stop") }

    /// As if the machine had failed: the next start recovers from the log.
    package func kill() async throws { try await end("kill") }

    package func start() async throws {
        send("start")
        try await untilReady()
    }

    private func end(_ command: String) async throws {
        send(command)
        try await eventually("the server stops") { [adminURL] in
            try await offThePool { PQping(adminURL) == PQPING_NO_RESPONSE }
        }
    }

    private func untilReady() async throws {
        try await eventually("the server is ready", within: 60) { [adminURL] in
            try await offThePool { PQping(adminURL) == PQPING_OK }
        }
    }

    private func send(_ command: String) { _ = write(commands, command + "\n", command.utf8.count + 1) }

    private static func patiently(_ condition: () -> Bool) throws {
        for _ in 0..<6000 where !condition() { usleep(10_000) }
        if !condition() { throw NeverHappened("the server's files") }
    }

    fileprivate static func external() -> TemporaryPostgreSQL? {
        getenv("POSTERN_TEST_POSTGRES_URL").map { TemporaryPostgreSQL(adminURL: String(cString: $0)) }
    }
}

// Databases.
extension TemporaryPostgreSQL {
    /// Makes an empty database.
    /// - Returns: its name.
    package func makeDatabase() async throws -> String {
        let number = databases.withLock { number in
            number += 1
            return number
        }
        let name = "postern_test_\(getpid())_\(number)"
        try await execute("CREATE DATABASE \(name) TEMPLATE template0")
        return name
    }

    package func dropDatabase(_ name: String) async throws {
        try await execute("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
    }

    /// The URL of a database, through the socket where the server is ours.
    package func url(_ database: String, _ parameters: String = "") -> String {
        let extra = parameters.isEmpty ? "" : "&\(parameters)"
        guard commands < 0 else {
            return "postgresql://postgres@/\(database)?host=\(directory)&port=\(port)\(extra)"
        }
        let parts = adminURL.split(separator: "?", maxSplits: 1)
        let slash = parts[0].lastIndex(of: "/") ?? parts[0].endIndex
        return "\(parts[0][..<slash])/\(database)?\(parts.count > 1 ? parts[1] : "")\(extra)"
    }

    /// The URL of a database over TCP, with a password.
    package func tcpURL(_ database: String, _ parameters: String = "", password: String = password) -> String {
        "postgres://postgres:\(password)@127.0.0.1:\(port)/\(database)?\(parameters)"
    }

    /// Runs SQL beside the engine.
    /// - Returns: the first column of the first row.
    @discardableResult
    package func execute(_ sql: String, in database: String = "postgres") async throws -> String? {
        let url = url(database)
        return try await offThePool {
            let connection = PQconnectdb(url)
            defer { PQfinish(connection) }
            let result = PQexec(connection, sql)
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_COMMAND_OK: return nil
            case PGRES_TUPLES_OK: return PQntuples(result) > 0 ? String(cString: PQgetvalue(result, 0, 0)) : nil
            default: throw NeverHappened("\(sql): \(String(cString: PQerrorMessage(connection)))")
            }
        }
    }
}

/// Starts the shared server once, however many tests ask at the same time.
private actor Starting {
    static let shared = Starting()
    private var task: Task<TemporaryPostgreSQL, any Error>?

    func server() async throws -> TemporaryPostgreSQL {
        if let task { return try await task.value }
        let task = Task { () async throws -> TemporaryPostgreSQL in
            if let external = TemporaryPostgreSQL.external() { return external }
            return try await TemporaryPostgreSQL.start()
        }
        self.task = task
        return try await task.value
    }
}

/// Runs what blocks on a thread that may.
private func offThePool<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result(catching: body)) }
    }
}

/// A TCP port that nobody uses at the moment.
private func freePort() throws -> Int {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            bind(socket, address, length) == 0 ? getsockname(socket, address, &length) : -1
        }
    }
    guard code == 0 else { throw NeverHappened("a free port") }
    return Int(UInt16(bigEndian: address.sin_port))
}

/// Starts a program of which nobody waits for the end.
private func spawn(_ arguments: [String], input: Int32, log: String) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input, 0)
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // What other tests have open at this moment is not the server's: a connection that it inherits never ends.
    for file in 3..<min(sysconf(Int32(_SC_OPEN_MAX)), 4096) { posix_spawn_file_actions_addclose(&actions, Int32(file)) }
    // A group of its own: what interrupts the tests leaves the server to its shell.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    let words = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var process = pid_t()
    guard posix_spawn(&process, arguments[0], &actions, &attributes, words, environ) == 0 else {
        throw NeverHappened("starting \(arguments[0])")
    }
}
