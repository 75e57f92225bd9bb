// The one place where "may this caller do this?" is answered. What it does not allow is denied.

package import Model

package struct Gate: Sendable {
    package init() {}

    /// Returns when the caller may act in the vault.
    /// - Throws: `not_found` for another vault's things, so that their existence does not show; else `forbidden`.
    package func authorize(_ caller: Caller, _ action: Action, in vault: VaultID) throws(PosternError) {
        guard caller.vault == vault else { throw PosternError(.notFound, "there is no such thing in this vault") }
        guard !caller.isReadOnly || action.changesNothing else {
            throw PosternError(
                .forbidden, "\(caller.label) may only read, and \(action.rawValue) changes something",
                fix: "Use a key that is not read_only.")
        }
        guard caller.labelPrefix == nil || action.isWithinLabels else {
            throw PosternError(
                .forbidden, "\(caller.label) is narrowed to labels, and \(action.rawValue) concerns the whole vault",
                fix: "Use a key without label_prefix.")
        }
        guard !action.sendsForOthers || !caller.isBoundInSending else {
            throw PosternError(
                .forbidden,
                "\(caller.label) is bound in what it sends, and \(action.rawValue) sends what others handed in",
                fix: "Use a key that is no agent's, and has neither sender_domains nor a rate limit of its own.")
        }
        if case .smtpUser = caller.identity, action.isOpenToLogins { return }
        guard action.scopes.isEmpty || !caller.scopes.isDisjoint(with: action.scopes) else {
            let needed = action.scopes.namesInOrder.joined(separator: " or ")
            throw PosternError(
                .forbidden, "\(caller.label) may not \(action.rawValue)",
                fix: "Use a key with the scope \(needed); GET /v1/me lists the scopes of yours.")
        }
    }
}
