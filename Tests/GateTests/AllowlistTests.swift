// From where a caller may come: elsewhere even the right key is a wrong one, and only the log says why.

import CoreTestSupport
import Gate
import Logging
import Model
import SQL
import Sealing
import Store
import Synchronization
import Testing

@Suite("Allowed addresses")
struct AllowlistTests {
    private func networks(_ texts: String...) -> [IPNetwork] { texts.compactMap { try? IPNetwork(parsing: $0) } }

    private func refusal(_ attempt: () async throws -> Void) async throws -> PosternError? {
        do {
            try await attempt()
            return nil
        } catch let error as PosternError {
            return error
        }
    }

    @Test("a key works from its networks only, and elsewhere is refused in the words for a wrong key")
    func keys() async throws {
        try await withHouse { house in
            let log = RecordedLog()
            let authenticator = Authenticator(database: house.database, clock: house.clock, logger: log.logger)
            var request = CallerDirectory.KeyRequest(label: "robot", kind: .tool, scopes: .send)
            request.allowedIPs = networks("192.0.2.0/24", "2001:db8::/32")
            let (key, text) = try await house.callers.issueKey(request, in: house.vault.id)
            let wrong = try await refusal {
                _ = try await authenticator.authenticate(
                    key: Secret("ak_\(key.prefix)_\(RandomToken.text(43))"), from: "192.0.2.1")
            }
            #expect(log.lines.isEmpty)
            for address in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::1%eth0"] {
                #expect(try await authenticator.authenticate(key: text, from: address) == key.caller)
            }
            try await authenticator.flushUses()
            let used = try await house.callers.keys.find(key.id, in: house.vault.id)?.lastUsedAt
            house.clock.advance(seconds: 9)
            for address in ["192.0.3.1", "::ffff:192.0.3.1", "2001:db9::1", "", "192.0.2.1\u{0}", nil] {
                let error = try await refusal { _ = try await authenticator.authenticate(key: text, from: address) }
                #expect(error?.code == .unauthorized && error?.detail == wrong?.detail && error?.fix == wrong?.fix)
            }
            // A refusal is no use, and each one is said with its reason; the key itself is never said.
            try await authenticator.flushUses()
            #expect(try await house.callers.keys.find(key.id, in: house.vault.id)?.lastUsedAt == used)
            #expect(log.lines.count == 6)
            #expect(log.lines.allSatisfy { $0.contains("allowed_ips") && $0.contains(key.id.text) })
            #expect(log.lines[0].contains("192.0.3.1"))
            #expect(!log.lines.joined().contains(text.reveal().suffix(43)))
        }
    }

    @Test("a login works from its networks only, from memory as well, and a wrong password says no more")
    func logins() async throws {
        try await withHouse { house in
            let log = RecordedLog()
            let authenticator = Authenticator(database: house.database, clock: house.clock, logger: log.logger)
            let (user, password) = try await house.callers.addUser(
                .init(username: "robot", allowedIPs: networks("192.0.2.7")), by: nil, in: house.vault.id,
                audit: house.audit())
            let wrong = try await refusal {
                _ = try await authenticator.authenticate(username: "robot", password: Secret("x"), from: "192.0.2.7")
            }
            for _ in 0..<2 {
                let elsewhere = try await refusal {
                    _ = try await authenticator.authenticate(username: "robot", password: password, from: "192.0.2.8")
                }
                #expect(elsewhere?.code == .unauthorized && elsewhere?.detail == wrong?.detail)
                let unknown = try await refusal {
                    _ = try await authenticator.signIn(username: "robot", password: password)
                }
                #expect(unknown?.detail == wrong?.detail)
                let caller = try await authenticator.authenticate(
                    username: "robot", password: password, from: "192.0.2.7")
                #expect(caller == user.caller)
            }
            #expect(log.lines.count == 4 && log.lines.allSatisfy { $0.contains(user.id.text) })
            #expect(!log.lines.joined().contains(password.reveal()))
        }
    }
}

/// What was logged, with its metadata.
final class RecordedLog: Sendable {
    private let recorded = Mutex<[String]>([])

    var lines: [String] { recorded.withLock { $0 } }

    var logger: Logger { Logger(label: "tests") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: RecordedLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = "\(event.level) \(event.message) \(event.metadata ?? [:])"
            log.recorded.withLock { $0.append(line) }
        }
    }
}
