// Messages as tests write them: header and text with plain line ends, from any address to any others.

import MIME
import Mapping
import Model
import Rates
import SQL
import Synchronization

@testable import Runaway

let hostname = "mail.example.org"

struct Letter: Sendable {
    var from = "agent@example.com"
    var sender: String?
    var recipients = ["jane@example.net"]
    var subject = "Hello"
    var headers: [(name: String, value: String)] = []
    var text = "Dear Jane,\nthis is a letter.\n"

    init(_ change: (inout Letter) -> Void = { _ in }) { change(&self) }

    /// As fields, built into a message when it is sent.
    func blocks() throws -> MappedMessage {
        try mapped(
            .blocks(text: text, html: []), headers: headers.map { Envelope.Header(name: $0.name, value: $0.value) })
    }

    /// As a finished message.
    /// - Parameter extra: fields that a copy has for itself.
    func raw(extra: [(name: String, value: String)] = []) throws -> MappedMessage {
        let fields = extra + headers + [("From", from), ("Subject", subject)]
        let header = fields.map { "\($0.name): \($0.value)\n" }.joined()
        return try mapped(.raw(Envelope.RawMessage(Self.bytes(header + "\n" + text))))
    }

    static func bytes(_ text: String) -> [UInt8] {
        Array(text.unicodeScalars.reduce(into: "") { $0 += $1 == "\n" ? "\r\n" : String($1) }.utf8)
    }

    private func mapped(_ body: Envelope.Body, headers: [Envelope.Header] = []) throws -> MappedMessage {
        let author = Envelope.Party(name: from, address: try EmailAddress(parsing: from))
        let content = Envelope.Content(from: author, replyTo: author, subject: subject, headers: headers, body: body)
        let sender = try EmailAddress(parsing: sender ?? from)
        return MappedMessage(
            correlation: CorrelationID(high: 1, low: 1),
            envelopes: try recipients.map {
                Envelope(recipient: try EmailAddress(parsing: $0), sender: sender, priority: 5, content: content)
            })
    }
}

/// A database that nobody may ask: judging costs no query.
struct NoDatabase: SQLDatabase {
    func read<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        throw SQLError(.unavailable, "there is no database")
    }

    func write<Value: Sendable>(
        cost: Int,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        throw SQLError(.unavailable, "there is no database")
    }

    func announce(_ topic: String) {}
    func announcements() -> AsyncStream<String> { AsyncStream { $0.finish() } }
    var isShared: Bool { false }
    var name: String { "none" }
    func close() async {}
}

/// One process's guard, in the tests' own time.
struct Watchman {
    let clock = ManualClock()
    let guardian: RunawayGuard
    let caller: Caller

    init(vault: UInt64 = 1, memory: Int = RunawayGuard.memory) {
        guardian = RunawayGuard(database: NoDatabase(), clock: clock, hostname: hostname, memory: memory)
        caller = Caller(
            vault: VaultID(high: 0, low: vault), identity: .key(KeyID(high: 0, low: 7)), label: "tests", scopes: .all)
    }

    func judge(
        _ messages: MappedMessage...,
        repeats: Int? = nil,
        replies: Int? = nil,
        by caller: Caller? = nil
    ) throws(PosternError) -> RunawayJudgement {
        var values: [String: any SettingValue] = [:]
        values[Settings.repeatLimit.key] = repeats
        values[Settings.autoReplyLimit.key] = replies
        return try guardian.judge(
            messages, caller: caller ?? self.caller, settings: SettingsSnapshot(vault: values, instance: [:]))
    }

    /// The tokens that a message costs, one number a bucket.
    func cost(_ message: MappedMessage, repeats: Int? = nil, replies: Int? = nil) throws -> [Int] {
        try judge(message, repeats: repeats, replies: replies).charges.map(\.tokens)
    }

    /// The code and the sentence of a refusal; `nil` where the message passes.
    func refusal(_ message: MappedMessage) -> String? {
        do throws(PosternError) {
            _ = try judge(message)
            return nil
        } catch {
            return "\(error.code.rawValue): \(error.detail)"
        }
    }
}

/// The same random numbers in each run.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
