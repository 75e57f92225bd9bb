// Writing a submission down: every message's rows in one commit, and the answer that is given after it.

import JSON
import MIME
import Mapping
import Model
import Store
import Vaults

extension SendPipeline {
    func commit(
        _ messages: [MappedMessage],
        _ caller: Caller,
        _ vault: VaultDirectory.Snapshot,
        _ door: Door,
        _ route: RouteName,
        _ idempotency: IdempotencyKey?,
        at now: Timestamp
    ) async throws -> Receipt {
        let acceptances = messages.map { acceptance(of: $0, caller, door, route, at: now) }
        let bytes = acceptances.reduce(0) { $0 + $1.payload.count }
        try await usage.checkRoom(
            adding: bytes, in: caller.vault, limits: vault.limits, plan: vault.standing.plan)
        let receipt = Receipt(
            entries: acceptances.flatMap { acceptance in
                acceptance.entries.map { entry in
                    Receipt.Entry(
                        id: entry.id, recipient: entry.envelope.recipient.description,
                        status: acceptance.isScheduled ? .scheduled : .queued, correlation: acceptance.correlation)
                }
            })
        let outcome = try await self.messages.accept(
            acceptances,
            idempotency: idempotency.map {
                Acceptance.Idempotency(
                    key: $0.key, digest: $0.digest, answer: String(decoding: receipt.json, as: UTF8.self),
                    expiresAt: now.adding(seconds: configuration.idempotencyLifetime))
            })
        if let earlier = try Self.receipt(of: outcome) { return earlier }
        usage.note(caller.vault, messages: receipt.entries.count, bytes: bytes)
        signal.announce()
        return receipt
    }

    private func acceptance(
        of message: MappedMessage,
        _ caller: Caller,
        _ door: Door,
        _ route: RouteName,
        at now: Timestamp
    ) -> Acceptance {
        let sendAt = message.sendAt.flatMap { $0 > now ? $0 : nil }
        let (format, payload) = Self.payload(of: message.envelopes[0])
        let entries = message.envelopes.map { envelope in
            Acceptance.Entry(
                id: ids.next(), envelope: envelope,
                envelopeJSON: format == .mime ? Self.json(envelope) : nil, route: route)
        }
        return Acceptance(
            correlation: message.correlation, caller: caller, door: door, payloadID: ids.next(), payloadFormat: format,
            payload: payload, entries: entries, metadata: message.metadata.isEmpty ? nil : Self.json(message.metadata),
            sendAt: sendAt, deadline: (sendAt ?? now).adding(seconds: configuration.lifetime), createdAt: now,
            eventIDs: (0..<2 * entries.count).map { _ in ids.next() })
    }

    /// Blocks are kept as the envelope's JSON, a finished message as its bytes.
    private static func payload(of envelope: Envelope) -> (Acceptance.PayloadFormat, [UInt8]) {
        switch envelope.content.body {
        case .raw(let message): return (.mime, message.bytes)
        case .blocks:
            var writer = JSONWriter(capacity: 1024)
            envelope.write(to: &writer)
            return (.envelope, writer.bytes)
        }
    }

    private static func json(_ envelope: Envelope) -> String {
        var writer = JSONWriter(capacity: 512)
        envelope.write(to: &writer)
        return writer.text
    }

    private static func json(_ metadata: [String: String]) -> String {
        var writer = JSONWriter()
        writer.object { writer in
            for (name, value) in metadata.sorted(by: { $0.key < $1.key }) { writer.member(name, value) }
        }
        return writer.text
    }

    /// - Returns: `nil` where the submission is a new one.
    static func receipt(of outcome: AcceptanceOutcome) throws(PosternError) -> Receipt? {
        switch outcome {
        case .committed: return nil
        case .replayed(let answer): return try Receipt(replaying: answer)
        case .conflict:
            throw PosternError(
                .idempotencyConflict, "this idempotency key was used within 24 hours for another submission")
        }
    }
}
