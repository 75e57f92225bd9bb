// What keys and SMTP users may: by their scopes, and by what they are narrowed to.

import Model

struct CallerRule {
    private let action: Action
    private let rule: ActionRule

    init(_ action: Action, _ rule: ActionRule) {
        self.action = action
        self.rule = rule
    }

    /// Why the caller may.
    /// - Throws: `forbidden`.
    func grounds(_ caller: Caller) throws(PosternError) -> Grounds {
        guard !caller.isReadOnly || rule.changesNothing else {
            throw PosternError(
                .forbidden, "\(caller.label) may only read, and \(action.rawValue) changes something",
                fix: "Use a key that is not read_only.")
        }
        guard caller.labelPrefix == nil || rule.isWithinLabels else {
            throw PosternError(
                .forbidden, "\(caller.label) is narrowed to labels, and \(action.rawValue) concerns the whole vault",
                fix: "Use a key without label_prefix.")
        }
        guard !rule.sendsForOthers || !caller.isBoundInSending else {
            throw PosternError(
                .forbidden,
                "\(caller.label) is bound in what it sends, and \(action.rawValue) sends what others handed in",
                fix: "Use a key that is no agent's, and has neither sender_domains nor a rate limit of its own.")
        }
        if case .smtpUser = caller.identity, rule.isOpenToLogins { return .login }
        guard let scopes = rule.scopes else {
            throw rule.isOpenToLogins ? Denial.noLogin(caller, action) : Denial.noPerson(action)
        }
        let common = caller.scopes.intersection(scopes)
        guard scopes.isEmpty || !common.isEmpty else {
            let needed = scopes.namesInOrder.joined(separator: " or ")
            throw PosternError(
                .forbidden, "\(caller.label) may not \(action.rawValue)",
                fix: "Use a key with the scope \(needed); GET /v1/me lists the scopes of yours.")
        }
        return scopes.isEmpty ? .known : .scopes(caller, common)
    }
}

/// What the state and the plan of a vault keep its callers and members from.
struct StandingRule {
    private let action: Action
    private let rule: ActionRule

    init(_ action: Action, _ rule: ActionRule) {
        self.action = action
        self.rule = rule
    }

    /// - Throws: `vault_suspended`, `vault_archived`, `feature_not_in_plan`.
    func check(_ standing: VaultStanding) throws(PosternError) {
        if standing.state < rule.state {
            switch standing.state {
            case .suspended:
                let reason = standing.reason.map { ": \($0)" } ?? ""
                throw PosternError(.vaultSuspended, "the vault is suspended\(reason)")
            case .archived: throw PosternError(.vaultArchived, "the vault is archived, and nothing in it changes")
            case .active, .deleted: throw Denial.absent
            }
        }
        if let feature = rule.feature, !standing.features.contains(feature) {
            throw PosternError(
                .featureNotInPlan,
                "\(action.rawValue) needs \(feature.rawValue), which the vault's plan \(standing.plan) does not include"
            )
        }
    }
}
