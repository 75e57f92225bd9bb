// What both APIs of SES have in common: addresses, texts with a charset, tags, ARNs and the names of features.

import MIME
import Mapping

/// What Postern does not do, in the words of a refusal.
enum SESFeature {
    static let templates = "templates are not filled in here; send the finished text as Simple or Raw"
    static let listManagement = "contact lists and their unsubscribe links are not managed here"
    static let openTracking = "opens are not tracked here"
    static let clickTracking = "clicks are not tracked here"
    static let tenants = "a tenant is a vault here; use a key of the tenant's vault"
    static let endpoints = "multi-region endpoints are not offered here"
    static let contentDescription = "Content-Description is not written here"
    static let attachedContentID = "a ContentId is written for INLINE attachments only"
}

enum SESText {
    /// What a text may be declared as. Texts arrive as Unicode and leave as UTF-8, of which US-ASCII is a part; another
    /// charset would be a promise about the bytes that is not kept.
    static func check(charset: Sourced<String>?, _ problems: inout NativeProblems) {
        guard let charset, !["utf-8", "utf8", "us-ascii", "ascii"].contains(charset.value.lowercased()) else { return }
        problems.unsupported("only UTF-8 and US-ASCII are written, not \(charset.value.prefix(40))", at: charset.at)
    }

    /// SES takes subjects in encoded words (RFC 2047), because it wants them in ASCII.
    static func subject(_ text: Sourced<String>) -> Sourced<String> {
        Sourced(EncodedWord.decode(text.value), at: text.at)
    }

    /// An ARN names the identity whose owner lets another account send for it. Here the key and the vault's
    /// `allowed_sender_domains` say who may send, so that a well-formed ARN is taken and changes nothing.
    static func check(arn: Sourced<String>?, _ problems: inout NativeProblems) {
        guard let arn else { return }
        let parts = arn.value.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0] == "arn", parts[2] == "ses", parts[5].hasPrefix("identity/") else {
            return problems.invalid("is not the ARN of an identity", at: arn.at)
        }
    }

    static func mailboxes(_ texts: [Sourced<String>], _ problems: inout NativeProblems) -> [Sourced<Mailbox>] {
        var mailboxes: [Sourced<Mailbox>] = []
        for text in texts {
            if let mailbox = NativeText.mailbox(text.value, at: text.at, &problems) {
                mailboxes.append(Sourced(mailbox, at: text.at))
            }
        }
        return mailboxes
    }

    static func mailbox(_ text: Sourced<String>?, _ problems: inout NativeProblems) -> Sourced<Mailbox>? {
        text.flatMap { mailboxes([$0], &problems).first }
    }
}

/// Message tags: each becomes the tag `name:value` and an entry of the metadata.
struct SESTags {
    /// Of SES's own tags the one that a caller chooses.
    private static let configurationSet = "ses:configuration-set"

    private(set) var metadata: [String: String] = [:]
    private(set) var tags: Sourced<[String]>?

    /// - Parameters:
    ///   - list: where the first of the tags stands.
    ///   - longest: bytes that a tag may have; a longer pair stays in the metadata only.
    mutating func add(
        _ name: Sourced<String>,
        _ value: Sourced<String>,
        in list: String,
        longest: Int,
        _ problems: inout NativeProblems
    ) {
        let isName = name.value.isTagText("_-")
        if !isName { problems.invalid("a tag's name has 1 to 256 of A-Z a-z 0-9 _ -", at: name.at) }
        let isValue = value.value.isTagText("_-.@")
        if !isValue { problems.invalid("a tag's value has 1 to 256 of A-Z a-z 0-9 _ - . @", at: value.at) }
        guard isName, isValue else { return }
        guard metadata.updateValue(value.value, forKey: name.value) == nil else {
            return problems.invalid("the tag \(name.value) is given more than once", at: name.at)
        }
        var all = tags ?? Sourced([], at: list)
        let tag = "\(name.value):\(value.value)"
        if tag.utf8.count <= longest { all.value.append(tag) }
        tags = all
    }

    /// A configuration set has no settings here. Its name is kept where SES shows it too: as the tag that it puts on
    /// every message of the set, by which events are told apart.
    mutating func set(configurationSet name: Sourced<String>, _ problems: inout NativeProblems) {
        guard name.value.utf8.count <= 64, name.value.isTagText("_-") else {
            return problems.invalid("a configuration set's name has 1 to 64 of A-Z a-z 0-9 _ -", at: name.at)
        }
        metadata[Self.configurationSet] = name.value
    }

    var hasConfigurationSet: Bool { metadata[Self.configurationSet] != nil }

    func has(_ name: String) -> Bool { metadata[name] != nil }

    func give(to message: inout NativeMessage) {
        message.tags = tags.flatMap { $0.value.isEmpty ? nil : $0 }
        message.metadata = metadata
    }
}
