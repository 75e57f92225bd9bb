// The straight line that every submission takes, whatever its door: gate, mapping, policy, one commit, answer.

package import Gate
import JSON
import MIME
package import Mapping
import Metrics
package import Model
package import Policy
package import SQL
import Store
package import Vaults

package final class SendPipeline: Sendable {
    package struct Configuration: Sendable {
        package var limits: MappingLimits
        /// Our own name, for Received fields and Message-IDs.
        package var hostname: String
        /// Seconds from acceptance, or from `send_at`, until a message must have come to its end.
        package var lifetime: Double
        /// The instance's switch: off puts every vault into shadow mode.
        package var isLiveSendEnabled: Bool
        /// What an instance-level route lacks in the environment, in words; absent where it is complete.
        package var missing: [RouteName: String]
        /// Seconds that an idempotency key is kept from the answer.
        package let idempotencyLifetime: Double = 86_400

        package init(
            limits: MappingLimits,
            hostname: String,
            lifetime: Double,
            isLiveSendEnabled: Bool,
            missing: [RouteName: String] = [:]
        ) {
            self.limits = limits
            self.hostname = hostname
            self.lifetime = lifetime
            self.isLiveSendEnabled = isLiveSendEnabled
            self.missing = missing
        }
    }

    package let configuration: Configuration
    private let messages: MessageRepository
    private let vaults: VaultDirectory
    private let gate: Gate
    private let policy: Policy
    private let disk: DiskSpace
    private let signal: OutboxSignal
    private let clock: any WallClock
    private let ids: IdentifierGenerator

    package init(
        configuration: Configuration,
        database: any SQLDatabase,
        vaults: VaultDirectory,
        gate: Gate,
        policy: Policy,
        disk: DiskSpace,
        signal: OutboxSignal,
        clock: any WallClock,
        ids: IdentifierGenerator
    ) {
        self.configuration = configuration
        messages = MessageRepository(database: database)
        self.vaults = vaults
        self.gate = gate
        self.policy = policy
        self.disk = disk
        self.signal = signal
        self.clock = clock
        self.ids = ids
    }

    /// Accepts a submission: returns after it is on disk.
    /// - Throws: `PosternError`; nothing was accepted then, and no row was written.
    package func submit(
        _ submission: Submission,
        by caller: Caller,
        through door: Door,
        idempotency: IdempotencyKey? = nil
    ) async throws(PosternError) -> Receipt {
        do throws(PosternError) {
            let receipt = try await accept(submission, by: caller, through: door, idempotency)
            count(door, receipt.isReplay ? "replayed" : "accepted")
            return receipt
        } catch {
            count(door, error.code.rawValue)
            throw error
        }
    }

    private func count(_ door: Door, _ outcome: String) {
        Counter(label: "postern_submissions_total", dimensions: [("door", door.rawValue), ("outcome", outcome)])
            .increment()
    }

    private func accept(
        _ submission: Submission,
        by caller: Caller,
        through door: Door,
        _ idempotency: IdempotencyKey?
    ) async throws(PosternError) -> Receipt {
        try gate.authorize(caller, .messageSend, in: caller.vault)
        do {
            let now = clock.now()
            if let idempotency,
                let earlier = try await messages.earlierAnswer(
                    key: idempotency.key, digest: idempotency.digest, caller: caller, at: now),
                let receipt = try Self.receipt(of: earlier)
            {
                return receipt
            }
            guard disk.isEnough else {
                throw PosternError(.storageUnavailable, "the disk is nearly full", retryAfter: 60)
            }
            let vault = try await vaults.snapshot(of: caller.vault)
            let correlation: CorrelationID = ids.next()
            let mapped = try map(submission, vault, correlation, now)
            try policy.judge(mapped.envelopes, PolicyContext(caller: caller, settings: vault.settings))
            let route = try route(vault.settings)
            let (acceptance, receipt) = acceptance(
                of: mapped, correlation, caller, door, route, idempotency, at: now)
            let outcome = try await messages.accept(acceptance)
            if let earlier = try Self.receipt(of: outcome) { return earlier }
            signal.announce()
            return receipt
        } catch {
            throw PosternError(describing: error)
        }
    }

    /// The envelopes that a submission would become; sends nothing and writes nothing.
    package func map(_ submission: Submission, by caller: Caller) async throws(PosternError) -> MappedSubmission {
        try gate.authorize(caller, .messageMap, in: caller.vault)
        do {
            let vault = try await vaults.snapshot(of: caller.vault)
            let mapped = try map(submission, vault, ids.next(), clock.now())
            try policy.judge(mapped.envelopes, PolicyContext(caller: caller, settings: vault.settings))
            return mapped
        } catch {
            throw PosternError(describing: error)
        }
    }

    private func map(
        _ submission: Submission,
        _ vault: VaultDirectory.Snapshot,
        _ correlation: CorrelationID,
        _ now: Timestamp
    ) throws(PosternError) -> MappedSubmission {
        let context = MappingContext(
            settings: vault.settings, pools: vault.pools, limits: configuration.limits,
            hostname: configuration.hostname, correlation: correlation, now: now)
        switch submission {
        case .canonical(let document): return try CanonicalDialect.map(document, context)
        case .simple(let document): return try SimpleDialect.map(document, context)
        case .mime(let raw): return try MIMEDialect.map(raw, context)
        }
    }

    /// The way out, with all that it needs: better no yes than one that cannot be kept.
    private func route(_ settings: SettingsSnapshot) throws(PosternError) -> RouteName {
        guard configuration.isLiveSendEnabled, try settings.require(Settings.liveSendEnabled) else { return .shadow }
        let route = try settings.require(Settings.route)
        switch route {
        case .shadow: break
        case .smarthost:
            _ = try settings.require(Settings.smarthostHost)
            _ = try settings.require(Settings.smarthostPort)
            _ = try settings.require(Settings.smarthostTLS)
        case .mailerq, .mailerqHTTP:
            if let missing = configuration.missing[route] {
                throw PosternError(
                    .settingUnset, "the route \(route.rawValue) needs \(missing), which this instance lacks")
            }
        }
        return route
    }

    private func acceptance(
        of mapped: MappedSubmission,
        _ correlation: CorrelationID,
        _ caller: Caller,
        _ door: Door,
        _ route: RouteName,
        _ idempotency: IdempotencyKey?,
        at now: Timestamp
    ) -> (Acceptance, Receipt) {
        let sendAt = mapped.sendAt.flatMap { $0 > now ? $0 : nil }
        let status: MessageStatus = sendAt == nil ? .queued : .scheduled
        let (format, payload) = Self.payload(of: mapped.envelopes[0])
        let entries = mapped.envelopes.map { envelope in
            Acceptance.Entry(
                id: ids.next(), envelope: envelope,
                envelopeJSON: format == .mime ? Self.json(envelope) : nil, route: route)
        }
        let receipt = Receipt(
            correlation: correlation,
            entries: entries.map {
                Receipt.Entry(id: $0.id, recipient: $0.envelope.recipient.description, status: status)
            })
        let metadata = mapped.metadata.isEmpty ? nil : Self.json(mapped.metadata)
        let acceptance = Acceptance(
            correlation: correlation, caller: caller, door: door, payloadID: ids.next(), payloadFormat: format,
            payload: payload, entries: entries, metadata: metadata, sendAt: sendAt,
            deadline: (sendAt ?? now).adding(seconds: configuration.lifetime), createdAt: now,
            idempotency: idempotency.map {
                Acceptance.Idempotency(
                    key: $0.key, digest: $0.digest, answer: String(decoding: receipt.json, as: UTF8.self),
                    expiresAt: now.adding(seconds: configuration.idempotencyLifetime))
            },
            eventIDs: (0..<2 * entries.count).map { _ in ids.next() })
        return (acceptance, receipt)
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
    private static func receipt(of outcome: AcceptanceOutcome) throws(PosternError) -> Receipt? {
        switch outcome {
        case .committed: return nil
        case .replayed(let answer): return try Receipt(replaying: answer)
        case .conflict:
            throw PosternError(
                .idempotencyConflict, "this idempotency key was used within 24 hours for another submission")
        }
    }
}
