// An envelope whose optional fields may be open: the mapping rules of the product scope (seed 000 §06) close them.

import MIME
import Model

struct EnvelopeDraft {
    var sender: EmailAddress?
    var priority: Int?
    var ips: [String]?
    /// Name of the pool that the payload asks for.
    var pool: String?
    var tags: [String]?
    var campaignID: String?
    var tracking: Envelope.Tracking?
    var content: Envelope.Content

    init(content: Envelope.Content) { self.content = content }

    /// One envelope a recipient. A value that is absent comes from the vault's settings, never from code.
    func envelopes(for recipients: [EmailAddress], _ context: MappingContext) throws(PosternError) -> [Envelope] {
        // `??` would lose the type of the error.
        let priority = if let priority { priority } else { try context.settings.require(Settings.defaultPriority) }
        let ips = if let ips { ips } else { try addresses(context) }
        let first = Envelope(
            recipient: recipients[0], sender: try sender(for: recipients[0], context), priority: priority, ips: ips,
            tags: tags ?? context.settings.value(Settings.defaultTags) ?? [],
            campaignID: campaignID ?? context.settings.value(Settings.defaultCampaignID), tracking: tracking,
            content: content)
        var envelopes = [first]
        envelopes.reserveCapacity(recipients.count)
        for recipient in recipients.dropFirst() {
            var envelope = first
            envelope.recipient = recipient
            if sender == nil { envelope.sender = try sender(for: recipient, context) }
            envelopes.append(envelope)
        }
        return envelopes
    }

    private func sender(for recipient: EmailAddress, _ context: MappingContext) throws(PosternError) -> EmailAddress {
        if let sender { return sender }
        switch try context.settings.require(Settings.defaultEnvelopeStrategy) {
        case .from: return content.from.address
        case .fixed: return try context.settings.require(Settings.envelopeAddress)
        case .verp:
            return VariableEnvelope.address(try context.settings.require(Settings.envelopeAddress), for: recipient)
        }
    }

    private func addresses(_ context: MappingContext) throws(PosternError) -> [String] {
        let domain = content.from.address.asciiDomain
        if let pool { return try Self.found(context.pools.addresses(named: pool), "named \(pool)", context) }
        switch try context.settings.require(Settings.ipPoolStrategy) {
        case .none: return []
        case .fromDomain: return try Self.found(context.pools.addresses(forDomain: domain), "for \(domain)", context)
        case .fixed(let name): return try Self.found(context.pools.addresses(named: name), "named \(name)", context)
        case .caller:
            guard let name = context.callerPool else {
                return try Self.found(
                    nil, "of the caller", context,
                    fix: "Use a key or an SMTP user with an ip_pool, or choose another ip_pool_strategy.")
            }
            return try Self.found(context.pools.addresses(named: name), "named \(name)", context)
        }
    }

    private static func found(
        _ addresses: [String]?,
        _ description: String,
        _ context: MappingContext,
        fix: String? = nil
    ) throws(PosternError) -> [String] {
        if let addresses { return addresses }
        switch try context.settings.require(Settings.ipPoolMissing) {
        case .default: return []
        case .refuse:
            throw PosternError(.noIPPool, "there is no IP pool \(description), and ip_pool_missing is refuse", fix: fix)
        }
    }
}

// MARK: - Where values come from

extension EnvelopeDraft {
    /// The origins of what the rules above decide; what the payload gave itself, the dialect knows.
    func origins(_ context: MappingContext) -> FieldOrigins {
        func setting(_ key: String) -> FieldOrigin { .setting(key, context.settings.source(key)) }
        var origins = FieldOrigins()
        if sender == nil {
            let isFrom = context.settings.value(Settings.defaultEnvelopeStrategy) == .from
            origins["envelope"] =
                isFrom ? .field("mime.from.address") : setting(Settings.envelopeAddress.key)
        }
        if priority == nil { origins["priority"] = setting(Settings.defaultPriority.key) }
        if ips == nil {
            origins["ips"] = pool.map { .pool($0) } ?? poolOrigin(context)
        }
        if tags == nil { origins["tags"] = Self.optional(Settings.defaultTags.key, context) }
        if campaignID == nil { origins["campaign_id"] = Self.optional(Settings.defaultCampaignID.key, context) }
        return origins
    }

    private func poolOrigin(_ context: MappingContext) -> FieldOrigin {
        let domain = content.from.address.asciiDomain
        switch context.settings.value(Settings.ipPoolStrategy) {
        case .fromDomain where context.pools.addresses(forDomain: domain) != nil: return .pool(domain)
        case .fixed(let name) where context.pools.addresses(named: name) != nil: return .pool(name)
        case .caller:
            if let name = context.callerPool, context.pools.addresses(named: name) != nil { return .pool(name) }
            return .setting(Settings.ipPoolMissing.key, context.settings.source(Settings.ipPoolMissing.key))
        case .fromDomain, .fixed:
            return .setting(Settings.ipPoolMissing.key, context.settings.source(Settings.ipPoolMissing.key))
        case .some(.none), nil:
            return .setting(Settings.ipPoolStrategy.key, context.settings.source(Settings.ipPoolStrategy.key))
        }
    }

    private static func optional(_ key: String, _ context: MappingContext) -> FieldOrigin {
        let source = context.settings.source(key)
        return source == .unset ? .absent : .setting(key, source)
    }
}
