// What the SMTP door says to a client: the pipeline's answers as replies, and what it judges before there is a message.

import Audit
import CoreTestSupport
import Gate
import JSON
import Logging
import Model
import NIOCore
import SMTP
import SMTPServer
import Sealing
import Store
import Testing

@testable import SMTPDoor

@Suite("SMTP door")
struct SMTPDoorTests {
    private static let message = "From: ann@example.com\r\nTo: bob@example.org\r\nSubject: Hi\r\n\r\nHello\r\n"

    @Test("a right login is let in as its user, and a wrong one is not told why")
    func signIn() async throws {
        try await withOpenDoor { door in
            let session = try #require(await door.signIn())
            #expect(session.caller.label == "printer")
            #expect(await door.refusal(password: "wrong") == .badCredentials)
            #expect(await door.refusal(username: "nobody") == .badCredentials)
            #expect(await door.refusal(password: [0xFF, 0xFE]) == .badCredentials)
            // RFC 4616 §2: acting as somebody else is nothing that a login may do here.
            #expect(await door.refusal(authorizationID: "root") == .badCredentials)
            #expect(await door.refusal(authorizationID: "printer") == nil)
        }
    }

    @Test("a vault that takes no mail by SMTP lets nobody in, and says so")
    func closedVault() async throws {
        let settings = TestHouse.settings.changing(["inbound_smtp_enabled": .bool(false)])
        try await withOpenDoor(settings: settings) { door in
            let reply = try #require(await door.refusal())
            #expect((reply.code, reply.enhanced) == (535, EnhancedCode(5, 7, 1)))
            #expect(reply.text.contains("does not take mail by SMTP"))
        }
    }

    @Test("a setting without a value is the operator's to mend: try later")
    func unsetSetting() async throws {
        let settings = TestHouse.settings.changing(["inbound_smtp_enabled": nil])
        try await withOpenDoor(settings: settings) { door in
            let reply = try #require(await door.refusal())
            #expect(reply == .authenticationUnavailable)
        }
    }

    @Test(
        "a sender is judged at MAIL",
        arguments: [
            ("ann@example.com", nil), ("", 550), ("ann", 553), ("ann@localhost@x", 553), ("ann@evil.org", 550),
            ("ann@sub.example.com", 550), ("ann@example.com.evil.org", 550),
        ] as [(String, UInt16?)])
    func sender(address: String, code: UInt16?) async throws {
        try await withOpenDoor { door in
            let session = try #require(await door.signIn())
            let reply = door.door.mail(SMTPReversePath(address: address), connection: door.connection(session))
            #expect(reply?.code == code)
            #expect(reply?.enhanced?.category == code.map { $0 / 100 })
        }
    }

    @Test("a session whose login was deleted begins no further message")
    func deletedLogin() async throws {
        try await withOpenDoor { door in
            let session = try #require(await door.signIn())
            let path = SMTPReversePath(address: "ann@example.com")
            #expect(door.door.mail(path, connection: door.connection(session)) == nil)
            try await door.house.callers.deleteUser(door.user.id, in: door.house.vault.id)
            #expect(door.door.mail(path, connection: door.connection(session))?.code == 530)
            #expect(door.door.mail(path, connection: door.connection(nil))?.code == 530)
        }
    }

    @Test("a recipient needs a domain", arguments: [("bob@example.org", true), ("postmaster", false), ("bob@", false)])
    func recipient(address: String, isTaken: Bool) async throws {
        try await withOpenDoor { door in
            let reply = door.door.recipient(
                SMTPRecipient(address: address), transaction: door.transaction([]), connection: door.connection(nil))
            #expect(reply?.code == (isTaken ? nil : 553))
        }
    }

    @Test("250 names the message, and what it names is in the database")
    func accepted() async throws {
        try await withOpenDoor { door in
            let reply = await door.submit(Self.message, to: ["bob@example.org", "eve@example.org"])
            #expect((reply.code, reply.enhanced) == (250, EnhancedCode(2, 0, 0)))
            let messages = try await MessageRepository(database: door.house.database).search(
                MessageQuery(), in: door.house.vault.id)
            #expect(messages.map(\.recipient).sorted() == ["bob@example.org", "eve@example.org"])
            let (first, thread) = (try #require(messages.map(\.id).min()), try #require(messages.first?.correlation))
            #expect(reply.text.contains("queued as \(first) and 1 more (\(thread))"))
            #expect(messages.allSatisfy { $0.door == .smtp && $0.callerID == door.user.id.text })
        }
    }

    @Test("the same Idempotency-Key and message again is answered like the first, and another message is refused")
    func idempotency() async throws {
        try await withOpenDoor { door async throws in
            let message = "Idempotency-Key: k1\r\n" + Self.message
            let first = await door.submit(message)
            #expect(first.code == 250)
            #expect(await door.submit(message) == first)
            let other = await door.submit(message + "more\r\n")
            #expect((other.code, other.lines.last) == (554, "idempotency_conflict"))
            #expect(try await door.house.database.count("smtp_relay_logs") == 1)
        }
    }

    @Test("a From of another domain is refused at the end of the message, and nothing is written")
    func fromDomain() async throws {
        try await withOpenDoor { door async throws in
            let reply = await door.submit(Self.message.replacing("ann@example.com", with: "ceo@evil.org"))
            #expect((reply.code, reply.enhanced) == (550, EnhancedCode(5, 7, 1)))
            #expect(reply.lines.last == "sender_domain_not_allowed")
            #expect(try await door.house.database.count("smtp_relay_logs") == 0)
        }
    }

    @Test("a message with two From fields is refused in lines of printable ASCII that say what to do")
    func malformed() async throws {
        try await withOpenDoor { door in
            let reply = await door.submit("From: ceo@example.com\r\n" + Self.message)
            #expect((reply.code, reply.lines.count) == (554, 3))
            #expect(reply.lines.last == "malformed_message")
            #expect(reply.lines.allSatisfy { $0.utf8.allSatisfy { (0x20...0x7E).contains($0) } && !$0.isEmpty })
        }
    }

    @Test("foreign text in a refusal can neither end the line nor leave ASCII")
    func foreignWords() async throws {
        try await withOpenDoor(settings: TestHouse.settings.changing(["default_priority": nil])) { door in
            // The fix of `setting_unset` holds an ellipsis.
            let reply = await door.submit(Self.message)
            #expect((reply.code, reply.enhanced) == (451, EnhancedCode(4, 3, 5)))
            #expect(reply.lines.allSatisfy { $0.utf8.allSatisfy { (0x20...0x7E).contains($0) } })
            #expect(reply.text.contains("..."))
        }
    }
}

private struct OpenSMTPDoor {
    let house: TestHouse
    let door: SMTPDoor
    let user: SMTPUser
    let password: String

    init(_ house: TestHouse) async throws {
        self.house = house
        let logger = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }
        door = SMTPDoor(
            pipeline: house.pipeline(), authenticator: house.authenticator, vaults: house.vaults,
            gate: Gate(clock: house.clock),
            refusals: RefusalRecorder(database: house.database, ids: house.ids, clock: house.clock, logger: logger),
            logger: logger)
        let made = try await house.callers.addUser(username: "printer", label: "printer", in: house.vault.id)
        (user, password) = (made.user, made.password.reveal())
    }

    func connection(_ session: SignIn?) -> SMTPConnectionInfo {
        SMTPConnectionInfo(
            id: 1, remoteAddress: "192.0.2.7", remotePort: 4711, localPort: 2587, isTLS: true,
            hello: "client.example.org",
            isESMTP: true, identity: session)
    }

    func transaction(_ recipients: [String]) -> SMTPTransaction {
        SMTPTransaction(
            reversePath: SMTPReversePath(address: "ann@example.com"),
            recipients: recipients.map { SMTPRecipient(address: $0) }, protocolName: "ESMTPSA")
    }

    private func authenticate(_ username: String, _ password: [UInt8], _ id: String) async -> SMTPAuthenticationResult {
        await door.authenticate(
            SMTPAuthentication(mechanism: .plain, authorizationID: id, username: username, password: password),
            connection: connection(nil))
    }

    func signIn() async -> SignIn? {
        guard case .accepted(let identity) = await authenticate(user.username, Array(password.utf8), "") else {
            return nil
        }
        return identity as? SignIn
    }

    func refusal(
        username: String? = nil,
        password: [UInt8]? = nil,
        authorizationID: String = ""
    ) async -> SMTPReply? {
        let result = await authenticate(
            username ?? user.username, password ?? Array(self.password.utf8), authorizationID)
        guard case .refused(let reply) = result else { return nil }
        return reply
    }

    func refusal(password: String) async -> SMTPReply? { await refusal(password: Array(password.utf8)) }

    func submit(_ message: String, to recipients: [String] = ["bob@example.org"]) async -> SMTPReply {
        let session = await signIn()
        return await door.message(
            transaction(recipients), data: ByteBuffer(string: message), connection: connection(session))
    }
}

private func withOpenDoor(
    settings: JSONObject = TestHouse.settings,
    _ body: (OpenSMTPDoor) async throws -> Void
) async throws {
    try await withHouse(settings: settings) { house in try await body(OpenSMTPDoor(house)) }
}
