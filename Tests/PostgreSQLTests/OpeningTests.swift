// Opening: what the URL says is done, what is wrong is said at once and clearly, and no message shows a password.

import PostgreSQL
import SQL
import TestSupport
import Testing

@Suite("PostgreSQL opening")
struct OpeningTests {
    private func refusal(_ url: String, rootCertificates: String? = nil) async -> SQLError? {
        do {
            try await open(url, rootCertificates: rootCertificates).close()
            return nil
        } catch {
            return error as? SQLError
        }
    }

    @Test(
        "a URL that cannot be read is refused without showing it",
        arguments: [
            "postgres://user:hunter2@[::1/db", "postgres://user:hunter2@host:port:5/db?x",
            "postgres://u:hunter2%zz@h/db",
            "postgres://u:hunter2@h/db?password=hunter2&hunter2=1", "postgres://u:hunter2@h/db?nonsense",
            "mysql://u:hunter2@h",
            "hunter2", "postgres://u:hunter2@h/db?sslmode", "postgres://u:p@h/db?=hunter2",
        ])
    func unreadable(_ url: String) {
        let error = #expect(throws: SQLError.self) { try PostgreSQLConfiguration(url: url) }
        #expect(error?.code == .failure)
        #expect(error?.description.contains("hunter2") == false, "\(String(describing: error))")
    }

    @Test("a configuration describes itself without user and password")
    func description() throws {
        let configuration = try PostgreSQLConfiguration(
            url: "postgres://ann:hunter2@db.example.org:6432/mail?sslmode=require")
        #expect(configuration.description == "db.example.org:6432/mail")
        #expect(try PostgreSQLConfiguration(url: "postgresql:///mail").description == "the local socket/mail")
    }

    @Test("a wrong password and a database that does not exist are said at once")
    func refused() async throws {
        let server = try await TemporaryPostgreSQL.start()
        let started = ContinuousClock.now
        let password = await refusal(server.tcpURL("postgres", password: "hunter2"))
        #expect(password?.code == .failure)
        #expect(password?.message.contains("password authentication failed") == true)
        #expect(password?.message.contains("hunter2") == false)
        let missing = await refusal(server.tcpURL("nowhere"))
        #expect(missing?.code == .failure)
        #expect(missing?.message.contains("does not exist") == true)
        let noSSL = await refusal(server.tcpURL("postgres", "sslmode=require"))
        #expect(noSSL?.code == .failure)
        #expect(ContinuousClock.now - started < .seconds(5), "within one patience, not three")
        #expect(await refusal(server.tcpURL("postgres")) == nil)
    }

    @Test("a server that starts later is waited for, and one that never does is given up in time")
    func waiting() async throws {
        let server = try await TemporaryPostgreSQL.start()
        try await server.stop()
        let url = server.tcpURL("postgres")
        let opening = Task { try await open(url, limits: limits { $0.openTimeout = 30 }) }
        try await server.start()
        let database = try await opening.value
        #expect(try await database.integer("SELECT 1") == 1)
        await database.close()
        try await server.stop()
        let started = ContinuousClock.now
        let error = await #expect(throws: SQLError.self) { try await open(url, limits: limits { $0.openTimeout = 1 }) }
        #expect(error?.code == .unavailable)
        #expect(ContinuousClock.now - started < .seconds(5))
    }

    @Test("a database in another encoding is refused")
    func encoding() async throws {
        let server = try await TemporaryPostgreSQL.shared()
        try await withPlace { place in
            let name = place.name + "_latin"
            try await server.execute(
                "CREATE DATABASE \(name) ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0")
            let error = await refusal(server.url(name))
            #expect(error?.code == .failure)
            #expect(error?.message.contains("LATIN1") == true)
            try await server.dropDatabase(name)
        }
    }

    @Test("TLS with a private authority: verified, and refused when it is another's or the name is wrong")
    func tls() async throws {
        try await withTemporaryDirectory { directory in
            let certificates = try TestAuthority(directory: directory)
            let server = try await TemporaryPostgreSQL.start(
                settings: ["ssl = on", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'"]
            ) { data in try certificates.install(into: data) }
            let full = "sslmode=verify-full"
            let database = try await open(server.tcpURL("postgres", "\(full)&sslrootcert=\(certificates.authority)"))
            let isEncrypted = try await database.read { connection in
                try connection.row("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")?.bool(0)
            }
            #expect(isEncrypted == true)
            let bytes = [UInt8](repeating: 7, count: 5 << 20)
            let back = try await database.read { try $0.row("SELECT \(bytes)")?.blob(0) }
            #expect(back == bytes)
            await database.close()
            #expect(await refusal(server.tcpURL("postgres", full), rootCertificates: certificates.authority) == nil)
            let stranger = await refusal(server.tcpURL("postgres", "\(full)&sslrootcert=\(certificates.stranger)"))
            #expect(stranger?.code == .failure)
            #expect(stranger?.message.contains("certificate verify failed") == true)
            let name = server.tcpURL("postgres", "\(full)&sslrootcert=\(certificates.authority)&host=localhost")
                .replacing("@127.0.0.1:", with: "@elsewhere:").replacing("host=localhost", with: "hostaddr=127.0.0.1")
            let elsewhere = await refusal(name)
            #expect(elsewhere?.code == .failure)
            #expect(elsewhere?.message.contains("does not match") == true)
        }
    }
}
