// An envelope whose optional fields may be open: the mapping rules of the product scope (seed 000 §06) close them.

import MIME
import Model

struct EnvelopeDraft {
    var sender: EmailAddress?
    var priority: Int?
    var ips: [String]?
    var tags: [String]?
    var campaignID: String?
    var tracking: Envelope.Tracking?
    var content: Envelope.Content

    init(content: Envelope.Content) { self.content = content }

    /// One envelope a recipient. A value that is absent comes from the vault's settings, never from code.
    func envelopes(for recipients: [EmailAddress], _ context: MappingContext) throws(PosternError) -> [Envelope] {
        // `??` would lose the type of the error.
        let priority = if let priority { priority } else { try context.settings.require(Settings.defaultPriority) }
        let ips = if let ips { ips } else { try Self.pool(of: content.from.address, context) }
        let first = Envelope(
            recipient: recipients[0], sender: sender ?? content.from.address, priority: priority, ips: ips,
            tags: tags ?? context.settings.value(Settings.defaultTags) ?? [],
            campaignID: campaignID ?? context.settings.value(Settings.defaultCampaignID), tracking: tracking,
            content: content)
        return recipients.map { recipient in
            var envelope = first
            envelope.recipient = recipient
            return envelope
        }
    }

    private static func pool(of from: EmailAddress, _ context: MappingContext) throws(PosternError) -> [String] {
        switch try context.settings.require(Settings.ipPoolStrategy) {
        case .fromDomain: context.pools[from.asciiDomain] ?? []
        case .none: []
        }
    }
}
