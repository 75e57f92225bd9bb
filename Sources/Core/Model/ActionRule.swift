// What each action takes: the one table behind the gate, and behind docs/access.md.

/// What has to happen beside a yes.
package struct Obligations: OptionSet, Hashable, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    /// An entry in the audit log, in the commit of the change.
    package static let audit = Obligations(rawValue: 1)
    /// The vault's and the caller's rate limits.
    package static let limit = Obligations(rawValue: 2)
    /// The vault's rules on what a person has to approve.
    package static let approval = Obligations(rawValue: 4)
    /// A person has shown within `Gate.freshness` who they are.
    package static let freshSignIn = Obligations(rawValue: 8)

    package var names: [String] {
        [(Self.audit, "audit"), (.limit, "limit"), (.approval, "approval"), (.freshSignIn, "fresh_sign_in")]
            .filter { contains($0.0) }.map(\.1)
    }
}

package struct ActionRule: Hashable, Sendable {
    /// Keys: any one of these scopes suffices, none means that being known does; `nil`: no key may.
    package var scopes: Scopes?
    /// SMTP users may without a scope.
    package var isOpenToLogins = false
    /// Members of the vault from this role on; `nil`: no member may.
    package var member: VaultRole?
    /// People from this instance role on may in any vault, members of it or not.
    package var steward: InstanceRole?
    /// People from this role on, where the instance itself is asked about.
    package var instance: InstanceRole?
    /// Everybody who signed in, for themselves.
    package var isOwn = false
    /// Everybody.
    package var isOpen = false

    /// Whether a read-only caller may.
    package var changesNothing = false
    /// Whether a caller that is narrowed to labels may: what it sees then is narrowed as well.
    package var isWithinLabels = false
    /// Whether it sends a backlog of whatever callers, past the limits and the policy that hold each one for itself.
    package var sendsForOthers = false
    /// How much alive the vault has to be.
    package var state = VaultState.suspended
    /// What the vault's plan has to include.
    package var feature: PlanFeature?
    package var obligations: Obligations = []

    fileprivate static func reading(
        _ scopes: Scopes?, _ member: VaultRole?, steward: InstanceRole? = nil, instance: InstanceRole? = nil,
        labels: Bool = false
    ) -> ActionRule {
        ActionRule(
            scopes: scopes, member: member, steward: steward, instance: instance, changesNothing: true,
            isWithinLabels: labels, state: .archived)
    }

    fileprivate static func changing(
        _ scopes: Scopes?, _ member: VaultRole?, steward: InstanceRole? = nil, instance: InstanceRole? = nil,
        labels: Bool = false, fresh: Bool = false
    ) -> ActionRule {
        ActionRule(
            scopes: scopes, member: member, steward: steward, instance: instance, isWithinLabels: labels,
            obligations: fresh ? [.audit, .freshSignIn] : .audit)
    }

    /// Sending: for keys and logins only (seed 000 §08); people issue themselves a key to try something.
    fileprivate static func sending(_ scopes: Scopes, logins: Bool = false, _ obligations: Obligations) -> ActionRule {
        ActionRule(
            scopes: scopes, isOpenToLogins: logins, isWithinLabels: true, state: .active, obligations: obligations)
    }
}

extension Action {
    package var rule: ActionRule {
        switch self {
        case .messageSend: .sending(.send, [.limit, .approval])
        case .messageMap:
            ActionRule(scopes: .send, changesNothing: true, isWithinLabels: true, state: .suspended)
        case .messageRead: .reading([.read, .admin], .viewer, labels: true)
        case .messageCancel: .changing([.send, .admin], .operator, labels: true)
        case .messageRetry:
            ActionRule(
                scopes: [.send, .admin], member: .operator, isWithinLabels: true, state: .active,
                obligations: [.audit, .limit, .approval])
        case .routeMailerQ: .sending(.amqp, logins: true, [])
        case .routeMailerQHTTP: .sending(.mailerq, logins: true, [])

        case .keyRead: .reading([.read, .admin], .viewer, labels: true)
        case .keyWrite: .changing(.admin, .operator, labels: true)
        case .smtpUserRead: .reading([.read, .admin], .viewer, labels: true)
        case .smtpUserWrite: .changing(.admin, .operator, labels: true)
        // No key: seed 000 §08 gives HTTP to those that have one.
        case .smtpConnect: ActionRule(isOpenToLogins: true, isWithinLabels: true, state: .active, obligations: .limit)

        case .selfRead: .reading([], .viewer, labels: true)
        case .settingsRead: .reading([.read, .admin], .viewer)
        case .settingsWrite: .changing(.admin, .owner)
        case .poolRead: .reading([.read, .admin], .viewer)
        case .poolWrite: .changing(.admin, .operator)
        case .secretRead: .reading(.admin, .owner)
        case .secretWrite: .changing(.admin, .owner)
        case .memberRead: .reading(nil, .operator, steward: .admin)
        case .memberWrite: .changing(nil, .owner, steward: .owner, fresh: true)
        case .vaultRead: .reading(nil, .viewer, steward: .admin, instance: .viewer)
        case .vaultRename: .changing(nil, .owner, steward: .admin)
        case .usageRead: .reading([.read, .admin], .viewer, steward: .admin)

        case .queueRead: .reading([.amqp, .admin], .operator)
        case .queueRepair:
            ActionRule(scopes: .admin, member: .owner, sendsForOthers: true, state: .active, obligations: .audit)
        case .mailerqRead: .reading(.mailerq, .operator)
        case .mailerqWrite: .changing(.mailerq, .owner)
        case .alertRead: .reading([.read, .admin], .operator, instance: .admin)
        case .alertAcknowledge: .changing(.admin, .operator, instance: .admin)
        case .alertRuleRead: .reading([.read, .admin], .operator, instance: .admin)
        case .alertRuleWrite: .changing(.admin, .owner, instance: .owner)
        case .auditRead: .reading(.admin, .owner, instance: .admin)
        case .auditExport:
            ActionRule(
                scopes: .admin, member: .owner, instance: .owner, changesNothing: true, state: .archived,
                feature: .auditExport, obligations: .audit)
        case .accessExplain: .reading(.admin, .owner, instance: .admin)

        case .orphanRead: .reading(nil, nil, instance: .admin)
        case .instanceRead: .reading(nil, nil, instance: .owner)
        case .userRead: .reading(nil, nil, instance: .admin)
        case .userWrite: .changing(nil, nil, instance: .admin, fresh: true)
        case .userDelete: .changing(nil, nil, instance: .admin, fresh: true)
        case .invitationRead: .reading(nil, .owner, instance: .admin)
        case .invitationWrite: .changing(nil, .owner, steward: .owner, instance: .admin, fresh: true)
        case .vaultCreate: .changing(nil, nil, instance: .admin)
        case .vaultSuspend: .changing(nil, nil, steward: .admin)
        case .vaultArchive: .changing(nil, nil, steward: .admin, fresh: true).evenArchived
        case .vaultDelete: .changing(nil, nil, steward: .owner, fresh: true).evenArchived
        case .vaultPlan: .changing(nil, nil, steward: .owner, fresh: true).evenArchived
        case .planRead: .reading(nil, nil, instance: .admin)
        case .planWrite: .changing(nil, nil, instance: .owner, fresh: true)

        case .accountRead: ActionRule(isOwn: true, changesNothing: true)
        case .accountWrite: ActionRule(isOwn: true, obligations: .audit)
        case .accountSecure: ActionRule(isOwn: true, obligations: [.audit, .freshSignIn])
        case .sessionEnd: ActionRule(isOwn: true, obligations: .audit)

        case .sessionBegin: ActionRule(isOpen: true, obligations: [.audit, .limit])
        case .statusRead: ActionRule(isOpen: true, changesNothing: true)
        case .machine: ActionRule(obligations: .audit)
        }
    }
}

extension ActionRule {
    /// For what brings an archived vault back, or ends it.
    fileprivate var evenArchived: ActionRule {
        var rule = self
        rule.state = .archived
        return rule
    }
}
