// Letters on their way to people: written behind the answers of requests, which neither wait for them nor tell of them.

import Model

/// What is to be written to somebody, in the order in which it came up.
final class AccountLetters: Sendable {
    enum Letter: Sendable {
        /// Somebody wants a link that sets a new password. Whether anybody has the address is looked up behind the answer too.
        case reset(email: String, Visit)
        /// Something happened to an account that its owner should know.
        case notice(UserID, PeopleLetter.Notice, address: String?, at: Timestamp)
    }

    /// Letters that may wait; more are dropped. Links can be asked for again, and what happened stands in the audit log.
    private static let limit = 500

    let stream: AsyncStream<Letter>
    private let continuation: AsyncStream<Letter>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.limit)) }

    func add(_ letter: Letter) { continuation.yield(letter) }
}
