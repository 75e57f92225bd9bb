// From a submission in whatever dialect to messages in canonical form.

import Dialects
import Mapping
import Model
import Vaults

extension SendPipeline {
    func map(
        _ submission: Submission,
        _ vault: VaultDirectory.Snapshot,
        _ caller: Caller,
        _ now: Timestamp,
        isExplained: Bool = false
    ) throws(PosternError) -> [MappedMessage] {
        let context = MappingContext(
            settings: vault.settings, pools: vault.pools, callerPool: caller.ipPool, limits: configuration.limits,
            hostname: configuration.hostname, now: now, isExplained: isExplained, correlations: { [ids] in ids.next() })
        switch submission {
        case .canonical(let document): return [try CanonicalDialect.map(document, context)]
        case .simple(let document): return [try SimpleDialect.map(document, context)]
        case .mime(let raw): return [try MIMEDialect.map(raw, context)]
        case .native(let dialect, let payload): return try map(payload, dialect, context)
        }
    }

    private func map(
        _ payload: NativePayload,
        _ dialect: Dialect,
        _ context: MappingContext
    ) throws(PosternError) -> [MappedMessage] {
        guard let native = dialect.native else {
            throw PosternError(.internalError, "\(dialect.rawValue) is no native dialect")
        }
        var context = context
        var messages: [MappedMessage] = []
        var recipients = 0
        for message in try native.read(payload, context) {
            if !messages.isEmpty { context = context.next() }
            // Before the message is built: what nobody will send needs no building.
            recipients += message.recipientCount
            guard recipients <= configuration.limits.recipients else {
                throw PosternError(
                    .tooManyRecipients,
                    "more than \(configuration.limits.recipients) recipients, and no more are allowed")
            }
            messages.append(try message.mapped(context))
        }
        guard !messages.isEmpty else {
            throw PosternError(.validationFailed, "the payload holds no message")
        }
        return messages
    }
}
