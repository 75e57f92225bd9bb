// The rules by which a key issues others, and deals with those that are there.

import JSON
import Model
import Store

extension Caller {
    /// Holds what a member asks for against their role; keys are held against themselves, as they are at the commit.
    /// - Throws: `forbidden`, with every field that reaches too far.
    func checkRole(_ other: Reach, _ what: String) throws(PosternError) {
        guard let role else { return }
        let breaches = Reach(role).breaches(by: other)
        guard let first = breaches.first else { return }
        throw PosternError(
            .forbidden,
            "\(what) of a vault's \(role.rawValue) can do no more than these may give away: "
                + "\(first.pointer.dropFirst()) \(first.message)",
            fix: "Ask for less, or have an owner of the vault do it.", problems: breaches)
    }
}

/// A key that asks for something to be made or renewed, as it is at the moment of the commit.
struct Asker {
    /// Keys in a line of descent, the first one included.
    static let generations = 5

    let key: APIKey

    /// - Throws: `forbidden` where the key ended meanwhile, or is temporary.
    init(_ key: APIKey?, at now: Timestamp) throws(PosternError) {
        guard let key, key.isAlive(at: now) else {
            throw PosternError(.forbidden, "the asking key has ended", fix: "Ask with a key that is valid.")
        }
        guard !key.isTemporary else {
            throw PosternError(
                .forbidden, "a temporary key makes no keys, logins and new texts for them",
                fix: "Ask with the key that issued the temporary one.")
        }
        self.key = key
    }

    /// - Throws: `forbidden`, with every field that reaches too far.
    func check(_ other: Reach, _ what: String) throws(PosternError) {
        let breaches = Reach(key).breaches(by: other)
        guard let first = breaches.first else { return }
        throw PosternError(
            .forbidden,
            "\(what) can do no more than the key that asks for it: \(first.pointer.dropFirst()) \(first.message)",
            fix: "Ask for less, or with a key that may do more; GET /v1/me shows what yours may do.", problems: breaches
        )
    }
}

extension CallerDirectory.KeyRequest {
    /// The key as it will be: what the request leaves open is the parent's.
    /// - Throws: `forbidden` where it would reach further than the parent, `validation_failed` where it contradicts itself.
    func key(
        _ id: KeyID,
        _ fresh: KeyText.Fresh,
        under parent: KeyRepository.Parent?,
        in vault: VaultID,
        at now: Timestamp
    ) throws(PosternError) -> APIKey {
        let own = parent?.key
        if let parent, parent.depth >= Asker.generations {
            throw PosternError(
                .forbidden,
                "keys come from keys over \(Asker.generations) generations, and the asking key is of the last",
                fix: "Issue the key with one of those that the asking key comes from.")
        }
        var key = APIKey(
            id: id, vault: vault, prefix: fresh.prefix, digest: fresh.digest, label: label, kind: kind, scopes: scopes,
            isReadOnly: isReadOnly || own?.isReadOnly ?? false, senderDomains: senderDomains ?? own?.senderDomains,
            createdAt: now, expiresAt: expiresAt ?? own?.expiresAt)
        key.parent = own?.id
        key.agent = kind == .agent ? own?.agent ?? id : nil
        key.labelPrefix = labelPrefix ?? own?.labelPrefix
        key.allowedIPs = allowedIPs ?? own?.allowedIPs
        key.limits = (own?.limits ?? []) + (limit.map { [KeyRateLimit(key: id, limit: $0)] } ?? [])
        key.ipPool = ipPool ?? own?.ipPool
        key.isTemporary = isTemporary
        if let own {
            try Asker(own, at: now).check(Reach(key), "a key")
            try own.checkSight(label)
        }
        try key.checkLabel(label)
        return key
    }
}

extension APIKey {
    /// - Throws: `validation_failed` where the key would not see itself.
    func checkLabel(_ label: String) throws(PosternError) {
        guard let labelPrefix, !label.utf8.starts(with: labelPrefix.utf8) else { return }
        throw .validation([
            JSONProblem(pointer: "/label", message: "must begin with \"\(labelPrefix)\", the key's label_prefix")
        ])
    }

    /// - Throws: `forbidden` where a thing of this label would be out of this key's sight.
    func checkSight(_ label: String) throws(PosternError) { try caller.checkSight(label) }

    /// Whether its text may be renewed.
    /// - Throws: `conflict`.
    func checkRenewable(at now: Timestamp) throws(PosternError) {
        guard revokedAt == nil else {
            throw PosternError(
                .conflict, "the key was revoked", fix: "Issue a new one with POST /v1/keys.")
        }
        guard !isTemporary else {
            throw PosternError(
                .conflict, "a temporary key is not rotated", fix: "Issue a new one with POST /v1/keys.")
        }
        guard isAlive(at: now) else {
            throw PosternError(.conflict, "the key has expired", fix: "Issue a new one with POST /v1/keys.")
        }
    }
}

extension Caller {
    /// - Throws: `forbidden` where a thing of this label would be out of this caller's sight.
    func checkSight(_ label: String) throws(PosternError) {
        guard !sees(label: label), let labelPrefix else { return }
        throw PosternError(
            .forbidden, "the label must begin with \"\(labelPrefix)\", the asking key's label_prefix",
            fix: "Choose such a label.",
            problems: [JSONProblem(pointer: "/label", message: "must begin with \"\(labelPrefix)\"")])
    }

    /// - Throws: `forbidden` where the caller signed in by a text that its key is about to lose. Otherwise whoever got hold of
    /// that text could renew the key before its owner does again, or make keys that outlive the overlap.
    func checkText() throws(PosternError) {
        guard isRetiring else { return }
        throw PosternError(
            .forbidden, "the key's old text, which goes on for a while, makes and changes no keys and SMTP users",
            fix: "Use the key's new text.")
    }

    /// The key that asks; `nil` for a caller that is none.
    var key: KeyID? {
        switch identity {
        case .key(let id): id
        case .smtpUser, .member, .system: nil
        }
    }
}
