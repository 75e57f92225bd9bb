// The one place where "may this principal do this to that?" is answered. What it does not allow is denied.

package import Model

package struct Gate: Sendable {
    /// A yes, and what has to happen beside it; or a no, with its reason and what to do.
    package enum Decision: Sendable {
        case allow(Obligations, because: Grounds)
        case deny(PosternError)
    }

    /// Seconds for which a sign-in counts as fresh.
    package static let freshness: Double = 900

    private let clock: any WallClock
    private let requiresSecondFactor: Bool

    /// - Parameter requiresSecondFactor: whether people who sign in by password alone may do no more than set one up.
    package init(clock: any WallClock = SystemClock(), requiresSecondFactor: Bool = false) {
        self.clock = clock
        self.requiresSecondFactor = requiresSecondFactor
    }

    /// Returns what has to happen beside it when the principal may act.
    /// - Throws: `not_found` for another vault's things, so that their existence does not show; else what the decision says.
    @discardableResult
    package func authorize(
        _ principal: Principal,
        _ action: Action,
        on resource: Resource
    ) throws(PosternError) -> Obligations {
        switch decide(principal, action, on: resource) {
        case .allow(let obligations, _): return obligations
        case .deny(let error): throw error
        }
    }

    /// As `authorize`, for those who want to know why.
    package func decide(_ principal: Principal, _ action: Action, on resource: Resource) -> Decision {
        do throws(PosternError) {
            return .allow(action.rule.obligations, because: try grounds(principal, action, resource))
        } catch {
            return .deny(error)
        }
    }

    private func grounds(
        _ principal: Principal,
        _ action: Action,
        _ resource: Resource
    ) throws(PosternError) -> Grounds {
        let rule = action.rule
        if rule.isOpen {
            guard case .open = resource else { throw Denial.misplaced(action) }
            return .everybody
        }
        switch (resource, principal) {
        case (_, .stranger): throw Denial.unsigned
        case (.open, _): throw Denial.misplaced(action)
        case (.vault(let vault, let standing), .caller(let caller)):
            guard caller.vault == vault, standing.state != .deleted else { throw Denial.absent }
            if let person = caller.person { return try ask(person, action, rule, vault, standing) }
            let grounds = try CallerRule(action, rule).grounds(caller)
            try StandingRule(action, rule).check(standing)
            return grounds
        case (.vault(let vault, let standing), .person(let person)):
            guard standing.state != .deleted else { throw Denial.absent }
            return try ask(person, action, rule, vault, standing)
        case (.instance, .person(let person)): return try ask(person, action, rule)
        case (.account, .person(let person)):
            guard rule.isOwn else { throw Denial.misplaced(action) }
            try check(person, action, rule)
            return .ownAccount
        case (.instance, .caller(let caller)), (.account, .caller(let caller)):
            guard let person = caller.person else { throw Denial.noPerson(action) }
            return try grounds(.person(person), action, resource)
        }
    }

    /// A person, in a vault.
    private func ask(
        _ person: Person,
        _ action: Action,
        _ rule: ActionRule,
        _ vault: VaultID,
        _ standing: VaultStanding
    ) throws(PosternError) -> Grounds {
        let role = person.memberships[vault]
        let grounds: Grounds
        if let role, let least = rule.member, role >= least {
            grounds = .member(person, role, least: least)
        } else if let steward = rule.steward, person.role >= steward {
            grounds = .instance(person, least: steward)
        } else {
            // Who is neither a member nor looks after vaults does not learn that there is such a vault.
            guard let role else {
                guard person.role >= .admin else { throw Denial.absent }
                throw Denial.noMember(person, action, rule)
            }
            throw Denial.role(person, role, action, rule)
        }
        try check(person, action, rule)
        try StandingRule(action, rule).check(standing)
        return grounds
    }

    /// A person, at the instance.
    private func ask(_ person: Person, _ action: Action, _ rule: ActionRule) throws(PosternError) -> Grounds {
        guard let least = rule.instance else { throw Denial.misplaced(action) }
        guard person.role >= least else {
            throw PosternError(
                .forbidden,
                "\(action.rawValue) takes the instance role \(least.rawValue); yours is \(person.role.rawValue)",
                fix: "Ask somebody who has that role.")
        }
        try check(person, action, rule)
        return .instance(person, least: least)
    }

    /// Whether the sign-in is good enough for this.
    private func check(_ person: Person, _ action: Action, _ rule: ActionRule) throws(PosternError) {
        if requiresSecondFactor, person.method == .password, !rule.isOwn {
            throw PosternError(
                .forbidden, "this instance wants a second factor, and your account has none",
                fix: "Set one up (POST /auth/totp, postern account totp), then sign in again.")
        }
        if rule.obligations.contains(.freshSignIn),
            person.authenticatedAt.adding(seconds: Self.freshness) < clock.now()
        {
            throw PosternError(
                .reauthenticationRequired,
                "\(action.rawValue) wants a sign-in that is at most \(Int(Self.freshness / 60)) minutes old")
        }
    }
}
