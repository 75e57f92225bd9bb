// A private certificate authority, a server certificate for 127.0.0.1 by it, and an authority that has nothing to do with it.

import TestSupport

#if canImport(Glibc)
import Glibc
#endif

struct TestAuthority: Sendable {
    private let directory: String

    var authority: String { directory + "/ca.crt" }
    var stranger: String { directory + "/stranger.crt" }

    init(directory: String) throws {
        self.directory = directory
        let script = """
            set -e; cd '\(directory)'; key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
            openssl req -x509 $key -keyout ca.key -out ca.crt -days 2 -subj '/CN=Test authority'
            openssl req -x509 $key -keyout stranger.key -out stranger.crt -days 2 -subj '/CN=Stranger'
            openssl req $key -keyout server.key -out server.csr -subj '/CN=127.0.0.1'
            echo 'subjectAltName=IP:127.0.0.1' > server.ext
            openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out server.crt -extfile server.ext
            """
        try Self.run(script)
    }

    /// Puts the server's certificate where the server may read it; its key must be its own.
    func install(into data: String) throws {
        try Self.run(
            """
            set -e; cp '\(directory)'/server.crt '\(directory)'/server.key '\(data)'; chmod 600 '\(data)'/server.key
            if [ "$(id -u)" = 0 ]; then chown postgres: '\(data)'/server.*; fi
            """)
    }

    private static func run(_ script: String) throws {
        let command = ["/bin/sh", "-c", "(\(script)) >/dev/null 2>&1"]
        let words = command.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var process = pid_t()
        var status: Int32 = 0
        guard posix_spawn(&process, "/bin/sh", nil, nil, words, environ) == 0,
            waitpid(process, &status, 0) == process, status == 0
        else { throw NeverHappened("certificates") }
    }
}
