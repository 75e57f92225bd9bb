// A broker and a MailerQ that answer as a test says, and messages that were submitted as callers do it.

import AMQP
import CoreTestSupport
import Delivery
import JSON
import MailerQ
import Mapping
import Model
import Outbox
import SQL
import Store
import Synchronization

final class ScriptedPublisher: MailerQPublishing {
    private let answer: @Sendable (AMQPMessage) -> AMQPPublishOutcome
    private let recorded = Mutex<[[AMQPMessage]]>([])
    let isAvailable: Bool

    init(
        isAvailable: Bool = true,
        _ answer: @escaping @Sendable (AMQPMessage) -> AMQPPublishOutcome = { _ in .confirmed }
    ) {
        self.isAvailable = isAvailable
        self.answer = answer
    }

    /// What each call was given.
    var calls: [[AMQPMessage]] { recorded.withLock { $0 } }
    var published: [AMQPMessage] { calls.flatMap { $0 } }

    func publish(_ messages: [AMQPMessage]) async -> [AMQPPublishOutcome] {
        recorded.withLock { $0.append(messages) }
        return messages.map(answer)
    }
}

final class ScriptedMailerQ: MailerQHTTP {
    typealias Answer = Result<MailerQHTTPAnswer, MailerQHTTPFailure>

    private struct State {
        var requests: [(path: String, body: [UInt8])] = []
        var running = 0
        var mostRunning = 0
    }

    private let answer: @Sendable (Int) async -> Answer
    private let state = Mutex(State())

    /// - Parameter answer: to the nth request, from 0.
    init(_ answer: @escaping @Sendable (Int) async -> Answer) { self.answer = answer }

    var requests: [(path: String, body: [UInt8])] { state.withLock { $0.requests } }
    var mostRunning: Int { state.withLock { $0.mostRunning } }

    func post(path: String, body: [UInt8]) async -> Answer {
        let number = state.withLock { state in
            state.requests.append((path, body))
            state.running += 1
            state.mostRunning = max(state.mostRunning, state.running)
            return state.requests.count - 1
        }
        let answer = await answer(number)
        state.withLock { $0.running -= 1 }
        return answer
    }

    static func status(_ status: Int, _ body: String = "") -> Answer {
        .success(MailerQHTTPAnswer(status: status, body: Array(body.utf8)))
    }
}

/// A database that is out of reach.
struct LostDatabase: SQLDatabase {
    func read<Value: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> Value) async throws -> Value {
        throw SQLError(.unavailable, "no connection")
    }

    func write<Value: Sendable>(
        cost: Int,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        throw SQLError(.unavailable, "no connection")
    }

    func announce(_ topic: String) {}
    func announcements() -> AsyncStream<String> { AsyncStream { $0.finish() } }
    var isShared: Bool { false }
    var name: String { "lost" }
    func close() async {}
}

extension MailerQMapping {
    /// With no queues named.
    init(_ mode: MailerQMIMEMode) { self.init(mode: mode, queues: MailerQMessage.Queues()) }
}

extension TestHouse {
    /// Accepts what a caller submits; returns the ids of its messages.
    func submit(_ submission: Submission) async throws -> [Model.MessageID] {
        try await pipeline().submit(submission, by: caller, through: .http).entries.map(\.id)
    }

    func submit(canonical json: String) async throws -> Model.MessageID {
        try await submit(.canonical(try JSONParser.parse(json)))[0]
    }

    func submit(raw bytes: [UInt8]) async throws -> [Model.MessageID] {
        try await submit(
            .mime(
                RawSubmission(
                    bytes: bytes, sender: nil, recipients: [],
                    trace: .init(hello: nil, address: nil, protocolName: "HTTP", hasCheckedLines: false))))
    }

    /// What MailerQ would be given.
    func preview(_ id: Model.MessageID, _ mapping: MailerQMapping) async throws -> JSONObject? {
        let document = try await MailerQPreview(database: database, mapping: mapping).document(for: id, in: vault.id)
        return try document.flatMap { try JSONParser.parse($0).objectValue }
    }

    func message(_ id: Model.MessageID) async throws -> Message? {
        try await MessageRepository(database: database).find(id, in: vault.id)
    }
}
