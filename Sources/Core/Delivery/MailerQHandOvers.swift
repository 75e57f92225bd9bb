// Messages on their way to MailerQ: read in batches, written as its documents, whatever carries them there.

import JSON
import MailerQ
import Model
import SQL
import Store

/// One message's document, and what its carrier has to know of it.
struct MailerQDocument: Sendable {
    let json: [UInt8]
    let message: MessageID
    let correlation: CorrelationID
    let priority: UInt8?
}

struct MailerQHandOvers: Sendable {
    enum Item: Sendable {
        case ready(ClaimedMessage, MailerQDocument)
        /// It cannot be written down for MailerQ.
        case settled(RouteOutcome)
    }

    private let messages: MessageRepository
    private let mapping: MailerQMapping
    /// Bytes of a document at most.
    private let maximumBytes: Int
    /// Bytes of payloads in memory at once.
    private let budget = 32 << 20

    init(database: any SQLDatabase, mapping: MailerQMapping, maximumBytes: Int) {
        messages = MessageRepository(database: database)
        self.mapping = mapping
        self.maximumBytes = maximumBytes
    }

    /// All messages, as many at a time as fit into memory: one read a time, and `hand` for what it found.
    /// - Returns: one outcome a message, in order.
    func forEachBatch(
        of claimed: [ClaimedMessage],
        _ hand: ([Item]) async -> [RouteOutcome]
    ) async -> [RouteOutcome] {
        var outcomes: [RouteOutcome] = []
        outcomes.reserveCapacity(claimed.count)
        var rest = claimed[...]
        while !rest.isEmpty {
            do {
                let batch = try await items(of: rest)
                outcomes += await hand(batch)
                rest = rest.dropFirst(batch.count)
            } catch {
                // A database out of reach comes back.
                let reason = Foreign(PosternError(describing: error).detail)
                outcomes += rest.map { RouteOutcome(message: $0, result: .deferred, reply: reason) }
                break
            }
        }
        return outcomes
    }

    /// - Returns: items for the first messages, at least one.
    private func items(of claimed: ArraySlice<ClaimedMessage>) async throws -> [Item] {
        let (found, count) = try await messages.stored(claimed.map { ($0.id, $0.vault) }, budget: budget)
        var finished: MailerQMapping.Finished = [:]
        return claimed.prefix(count).map { message in
            guard let stored = found[message.id] else {
                return .settled(
                    RouteOutcome(
                        message: message, result: .failed, reply: Foreign("the message's body is no longer kept")))
            }
            do throws(PosternError) {
                return .ready(message, try document(for: stored, handOver: message.attempt, finished: &finished))
            } catch {
                // Our own fault may be mended; what is wrong with the message stays wrong.
                return .settled(
                    RouteOutcome(
                        message: message, result: error.code == .internalError ? .deferred : .failed,
                        reply: Foreign(error.detail)))
            }
        }
    }

    /// The document that the next hand-over of a message would publish; `nil` when there is no such message in the vault.
    func next(of id: MessageID, in vault: VaultID) async throws -> MailerQDocument? {
        let (found, _) = try await messages.stored([(id, vault)], budget: budget)
        guard let stored = found[id] else { return nil }
        var finished: MailerQMapping.Finished = [:]
        return try document(for: stored, handOver: stored.attempts + 1, finished: &finished)
    }

    private func document(
        for stored: StoredMessage,
        handOver: Int,
        finished: inout MailerQMapping.Finished
    ) throws(PosternError) -> MailerQDocument {
        let message = try mapping.message(for: stored, handOver: handOver, finished: &finished)
        let json: [UInt8]
        do throws(MailerQError) {
            json = try message.encoded()
        } catch {
            throw PosternError(
                .malformedMessage, "\(error.message), and MailerQ's JSON cannot hold them",
                fix: "Encode the message's parts as quoted-printable or base64.")
        }
        guard json.count <= maximumBytes else {
            throw PosternError(
                .messageTooLarge, "the message has \(json.count) bytes in JSON, and \(maximumBytes) can be handed over")
        }
        return MailerQDocument(
            json: json, message: stored.id, correlation: stored.correlation,
            priority: message.priority.map { UInt8(clamping: $0) })
    }
}
