// The gate as a table: every action against every set of scopes, and against every role of a vault and of the instance.

import Gate
import Model
import Testing

@Suite("Gate")
struct GateTests {
    private static let clock = ManualClock()
    private static let ids = IdentifierGenerator(process: 1, clock: clock)
    private var ids: IdentifierGenerator { Self.ids }
    private let gate = Gate(clock: GateTests.clock)

    private func caller(_ scopes: Scopes, isReadOnly: Bool = false, in vault: VaultID) -> Caller {
        Caller(vault: vault, identity: .key(ids.next()), label: "robot", scopes: scopes, isReadOnly: isReadOnly)
    }

    private func person(
        _ role: InstanceRole,
        _ memberships: [VaultID: VaultRole] = [:],
        method: Person.Method = .secondFactor,
        age: Double = 0
    ) -> Person {
        Person(
            id: ids.next(), email: "ann@example.com", name: "Ann", role: role, memberships: memberships,
            session: ids.next(), method: method, authenticatedAt: Self.clock.now().adding(seconds: -age),
            hasSecondFactor: method == .secondFactor)
    }

    private func denial(
        _ principal: Principal,
        _ action: Action,
        on resource: Resource,
        by gate: Gate? = nil
    ) -> PosternError? {
        switch (gate ?? self.gate).decide(principal, action, on: resource) {
        case .allow: nil
        case .deny(let error): error
        }
    }

    /// Written a second time, by hand: whoever changes what an action takes changes it here as well.
    struct Row: Sendable {
        let action: Action
        /// `nil`: no key may.
        let scopes: Scopes?
        let member: VaultRole?
        let steward: InstanceRole?
        let instance: InstanceRole?
        let changes: Bool

        init(
            _ action: Action, _ scopes: Scopes?, _ member: VaultRole?, _ steward: InstanceRole?,
            _ instance: InstanceRole?, changes: Bool
        ) {
            self.action = action
            self.scopes = scopes
            self.member = member
            self.steward = steward
            self.instance = instance
            self.changes = changes
        }
    }

    static let table: [Row] = [
        Row(.messageSend, .send, nil, nil, nil, changes: true),
        Row(.messageMap, .send, nil, nil, nil, changes: false),
        Row(.messageRead, [.read, .admin], .viewer, nil, nil, changes: false),
        Row(.messageCancel, [.send, .admin], .operator, nil, nil, changes: true),
        Row(.messageRetry, [.send, .admin], .operator, nil, nil, changes: true),
        Row(.routeMailerQ, .amqp, nil, nil, nil, changes: true),
        Row(.routeMailerQHTTP, .mailerq, nil, nil, nil, changes: true),
        Row(.keyRead, [.read, .admin], .viewer, nil, nil, changes: false),
        Row(.keyWrite, .admin, .operator, nil, nil, changes: true),
        Row(.smtpUserRead, [.read, .admin], .viewer, nil, nil, changes: false),
        Row(.smtpUserWrite, .admin, .operator, nil, nil, changes: true),
        Row(.smtpConnect, nil, nil, nil, nil, changes: true),
        Row(.selfRead, [], .viewer, nil, nil, changes: false),
        Row(.settingsRead, [.read, .admin], .viewer, nil, nil, changes: false),
        Row(.settingsWrite, .admin, .owner, nil, nil, changes: true),
        Row(.poolRead, [.read, .admin], .viewer, nil, nil, changes: false),
        Row(.poolWrite, .admin, .operator, nil, nil, changes: true),
        Row(.secretRead, .admin, .owner, nil, nil, changes: false),
        Row(.secretWrite, .admin, .owner, nil, nil, changes: true),
        Row(.memberRead, nil, .operator, .admin, nil, changes: false),
        Row(.memberWrite, nil, .owner, .owner, nil, changes: true),
        Row(.vaultRead, nil, .viewer, .admin, .viewer, changes: false),
        Row(.vaultRename, nil, .owner, .admin, nil, changes: true),
        Row(.usageRead, [.read, .admin], .viewer, .admin, nil, changes: false),
        Row(.queueRead, [.amqp, .admin], .operator, nil, nil, changes: false),
        Row(.queueRepair, .admin, .owner, nil, nil, changes: true),
        Row(.mailerqRead, .mailerq, .operator, nil, nil, changes: false),
        Row(.mailerqWrite, .mailerq, .owner, nil, nil, changes: true),
        Row(.alertRead, [.read, .admin], .operator, nil, .admin, changes: false),
        Row(.alertAcknowledge, .admin, .operator, nil, .admin, changes: true),
        Row(.alertRuleRead, [.read, .admin], .operator, nil, .admin, changes: false),
        Row(.alertRuleWrite, .admin, .owner, nil, .owner, changes: true),
        Row(.auditRead, .admin, .owner, nil, .admin, changes: false),
        Row(.auditExport, .admin, .owner, nil, .owner, changes: false),
        Row(.accessExplain, .admin, .owner, nil, .admin, changes: false),
        Row(.orphanRead, nil, nil, nil, .admin, changes: false),
        Row(.instanceRead, nil, nil, nil, .owner, changes: false),
        Row(.userRead, nil, nil, nil, .admin, changes: false),
        Row(.userWrite, nil, nil, nil, .admin, changes: true),
        Row(.userDelete, nil, nil, nil, .admin, changes: true),
        Row(.invitationRead, nil, .owner, nil, .admin, changes: false),
        Row(.invitationWrite, nil, .owner, .owner, .admin, changes: true),
        Row(.vaultCreate, nil, nil, nil, .admin, changes: true),
        Row(.vaultSuspend, nil, nil, .admin, nil, changes: true),
        Row(.vaultArchive, nil, nil, .admin, nil, changes: true),
        Row(.vaultDelete, nil, nil, .owner, nil, changes: true),
        Row(.vaultPlan, nil, nil, .owner, nil, changes: true),
        Row(.planRead, nil, nil, nil, .admin, changes: false),
        Row(.planWrite, nil, nil, nil, .owner, changes: true),
        Row(.accountRead, nil, nil, nil, nil, changes: false),
        Row(.accountWrite, nil, nil, nil, nil, changes: true),
        Row(.accountSecure, nil, nil, nil, nil, changes: true),
        Row(.sessionEnd, nil, nil, nil, nil, changes: true),
        Row(.sessionBegin, nil, nil, nil, nil, changes: true),
        Row(.statusRead, nil, nil, nil, nil, changes: false),
        Row(.machine, nil, nil, nil, nil, changes: true),
    ]

    private static let own: [Action] = [.accountRead, .accountWrite, .accountSecure, .sessionEnd]
    private static let open: [Action] = [.sessionBegin, .statusRead]

    @Test("the table holds every action once")
    func completeness() {
        #expect(Self.table.map(\.action) == Action.allCases)
    }

    @Test("each action is allowed to exactly those sets of scopes that hold one of its own", arguments: table)
    func everySetOfScopes(_ row: Row) {
        let vault: VaultID = ids.next()
        for rawValue in 0..<32 {
            let scopes = Scopes(rawValue: rawValue)
            for isReadOnly in [false, true] {
                let mayAct =
                    row.scopes.map { ($0.isEmpty || !scopes.isDisjoint(with: $0)) && !(isReadOnly && row.changes) }
                    ?? false
                let error = denial(
                    .caller(caller(scopes, isReadOnly: isReadOnly, in: vault)), row.action,
                    on: .vault(vault, .unlimited))
                #expect((error == nil) == mayAct, "\(row.action) for \(scopes.stored), read-only: \(isReadOnly)")
                if let error { #expect(error.code == .forbidden) }
            }
        }
    }

    @Test(
        "each action in a vault is allowed to members from its role on, and to stewards from theirs", arguments: table)
    func everyRoleOfAVault(_ row: Row) {
        let vault: VaultID = ids.next()
        for instanceRole in InstanceRole.allCases {
            for role in [nil] + VaultRole.allCases.map(Optional.some) {
                let person = person(instanceRole, role.map { [vault: $0] } ?? [:])
                let byRole = role.flatMap { role in row.member.map { role >= $0 } } ?? false
                let bySteward = row.steward.map { instanceRole >= $0 } ?? false
                let error = denial(.person(person), row.action, on: .vault(vault, .unlimited))
                #expect(
                    (error == nil) == (byRole || bySteward),
                    "\(row.action): \(instanceRole), \(String(describing: role))")
                // Who has nothing to do with the vault does not learn that it is there.
                if let error, role == nil, instanceRole < .admin {
                    #expect([.notFound, .forbidden].contains(error.code))
                }
                if let caller = person.caller(in: vault) {
                    #expect(
                        (denial(.caller(caller), row.action, on: .vault(vault, .unlimited)) == nil) == (error == nil))
                }
            }
        }
    }

    @Test("each action at the instance is allowed to people from its role on, and to no key", arguments: table)
    func everyRoleOfTheInstance(_ row: Row) {
        let vault: VaultID = ids.next()
        for role in InstanceRole.allCases {
            let mayAct = row.instance.map { role >= $0 } ?? false
            #expect((denial(.person(person(role, [vault: .owner])), row.action, on: .instance) == nil) == mayAct)
        }
        #expect(denial(.caller(caller(.all, in: vault)), row.action, on: .instance) != nil)
        #expect(
            denial(.stranger, row.action, on: .instance)?.code
                == (Self.open.contains(row.action) ? .forbidden : .unauthorized))
    }

    @Test("an account is its owner's affair, and the doors are everybody's", arguments: Action.allCases)
    func ownAndOpen(_ action: Action) {
        let vault: VaultID = ids.next()
        for role in InstanceRole.allCases {
            #expect((denial(.person(person(role)), action, on: .account) == nil) == Self.own.contains(action))
        }
        #expect(denial(.caller(caller(.all, in: vault)), action, on: .account) != nil)
        #expect((denial(.stranger, action, on: .open) == nil) == Self.open.contains(action))
        #expect(denial(.stranger, action, on: .vault(vault, .unlimited)) != nil)
        #expect(denial(.stranger, action, on: .account) != nil)
    }

    @Test("what belongs to the machine is allowed to nobody over a door")
    func machine() {
        let vault: VaultID = ids.next()
        let everything = person(.owner, [vault: .owner])
        for resource in [Resource.vault(vault, .unlimited), .instance, .account, .open] {
            #expect(denial(.person(everything), .machine, on: resource) != nil)
            #expect(denial(.caller(caller(.all, in: vault)), .machine, on: resource) != nil)
        }
    }

    @Test("a caller that is narrowed to labels has to do with labelled things only, whatever its scopes")
    func labels() {
        let vault: VaultID = ids.next()
        var narrowed = caller(.all, in: vault)
        narrowed.labelPrefix = "bill-"
        let labelled: [Action] = [
            .messageSend, .messageMap, .messageRead, .messageCancel, .messageRetry, .keyRead, .keyWrite, .smtpUserRead,
            .smtpUserWrite, .routeMailerQ, .routeMailerQHTTP, .selfRead,
        ]
        for action in Action.allCases {
            let isAllowed = denial(.caller(narrowed), action, on: .vault(vault, .unlimited)) == nil
            #expect(isAllowed == labelled.contains(action), "\(action)")
        }
    }

    @Test("who is bound in what it sends does not send the backlog of others")
    func repair() {
        let vault: VaultID = ids.next()
        let free = caller(.all, in: vault)
        #expect(denial(.caller(free), .queueRepair, on: .vault(vault, .unlimited)) == nil)
        var agent = free
        agent.agent = ids.next()
        var narrowed = free
        narrowed.senderDomains = [DomainPattern("acme.com")].compactMap { $0 }
        var limited = free
        limited.limits = [KeyRateLimit(key: ids.next(), limit: RateLimit(perHour: 1, burst: 1))]
        for bound in [agent, narrowed, limited] {
            #expect(denial(.caller(bound), .queueRepair, on: .vault(vault, .unlimited)) != nil)
            #expect(denial(.caller(bound), .messageSend, on: .vault(vault, .unlimited)) == nil)
        }
    }

    @Test("a login's mail takes whatever route the vault chose, at home only, and nothing else without its scope")
    func logins() {
        let (home, other): (VaultID, VaultID) = (ids.next(), ids.next())
        let login = Caller(vault: home, identity: .smtpUser(ids.next()), label: "printer", scopes: .send)
        for action in Action.allCases {
            let isAllowed = [
                .messageSend, .messageMap, .messageCancel, .messageRetry, .selfRead, .routeMailerQ, .routeMailerQHTTP,
                .smtpConnect,
            ].contains(action)
            #expect((denial(.caller(login), action, on: .vault(home, .unlimited)) == nil) == isAllowed, "\(action)")
            #expect(denial(.caller(login), action, on: .vault(other, .unlimited)) != nil, "\(action)")
        }
    }

    @Test("another vault's things are not found, whatever the caller may do at home", arguments: Action.allCases)
    func crossVault(_ action: Action) {
        let (home, other): (VaultID, VaultID) = (ids.next(), ids.next())
        for isReadOnly in [false, true] {
            for scopes in [Scopes.all, []] {
                let error = denial(
                    .caller(caller(scopes, isReadOnly: isReadOnly, in: home)), action, on: .vault(other, .unlimited))
                #expect(error?.code == .notFound || Self.open.contains(action))
                #expect(error?.description.contains(other.text) == false)
            }
        }
        let member = denial(.person(person(.member, [home: .owner])), action, on: .vault(other, .unlimited))
        #expect(member?.code == .notFound || Self.open.contains(action))
    }

    @Test(
        "a vault that is suspended takes no mail, one that is archived changes nothing, one that is deleted is not there"
    )
    func standing() {
        let vault: VaultID = ids.next()
        let all = Set(PlanFeature.allCases)
        func standing(_ state: VaultState) -> VaultStanding {
            VaultStanding(state: state, reason: "unpaid", plan: "team", features: all)
        }
        let key = Principal.caller(caller(.all, in: vault))
        let error = denial(key, .messageSend, on: .vault(vault, standing(.suspended)))
        #expect(error?.code == .vaultSuspended)
        #expect(error?.detail.contains("unpaid") == true)
        for action in [Action.messageRead, .settingsWrite, .keyWrite, .messageCancel] {
            #expect(denial(key, action, on: .vault(vault, standing(.suspended))) == nil)
        }
        for row in Self.table where row.scopes != nil {
            let archived = denial(key, row.action, on: .vault(vault, standing(.archived)))
            if row.changes { #expect(archived?.code == .vaultArchived, "\(row.action)") }
            #expect(denial(key, row.action, on: .vault(vault, standing(.deleted)))?.code == .notFound)
        }
        let owner = Principal.person(person(.owner, [vault: .owner]))
        #expect(denial(owner, .vaultArchive, on: .vault(vault, standing(.archived))) == nil)
        #expect(denial(owner, .vaultDelete, on: .vault(vault, standing(.archived))) == nil)
        #expect(denial(owner, .vaultRead, on: .vault(vault, standing(.deleted)))?.code == .notFound)
    }

    @Test("what a plan does not include is refused by its name, whoever asks")
    func features() {
        let vault: VaultID = ids.next()
        let free = VaultStanding(state: .active, plan: "free", features: [])
        for principal in [
            Principal.caller(caller(.all, in: vault)), .person(person(.owner, [vault: .owner])),
        ] {
            let error = denial(principal, .auditExport, on: .vault(vault, free))
            #expect(error?.code == .featureNotInPlan)
            #expect(error?.detail.contains("free") == true)
            #expect(denial(principal, .auditRead, on: .vault(vault, free)) == nil)
        }
    }

    @Test("dangerous acts want a fresh sign-in, to the second", arguments: Action.allCases)
    func freshness(_ action: Action) {
        let vault: VaultID = ids.next()
        let dangerous: [Action] = [
            .memberWrite, .userWrite, .userDelete, .invitationWrite, .vaultArchive, .vaultDelete, .vaultPlan,
            .planWrite, .accountSecure,
        ]
        for age in [899.0, 900, 900.5, 100_000] {
            let person = Principal.person(person(.owner, [vault: .owner], age: age))
            let errors = [Resource.vault(vault, .unlimited), .instance, .account].map {
                denial(person, action, on: $0)?.code
            }
            #expect(
                errors.contains(.reauthenticationRequired) == (dangerous.contains(action) && age > 900), "\(action)")
        }
    }

    @Test("an instance that wants a second factor lets people without one do nothing but set one up")
    func secondFactor() {
        let vault: VaultID = ids.next()
        let strict = Gate(clock: Self.clock, requiresSecondFactor: true)
        for method in Person.Method.allCases {
            let person = Principal.person(person(.owner, [vault: .owner], method: method))
            let isHeld = method == .password
            #expect((denial(person, .settingsRead, on: .vault(vault, .unlimited), by: strict) != nil) == isHeld)
            #expect((denial(person, .userRead, on: .instance, by: strict) != nil) == isHeld)
            #expect(denial(person, .accountSecure, on: .account, by: strict) == nil)
        }
        #expect(
            denial(.caller(caller(.all, in: vault)), .settingsRead, on: .vault(vault, .unlimited), by: strict) == nil)
    }

    @Test("a refusal names the caller, the action and what would do")
    func refusals() {
        let vault: VaultID = ids.next()
        let key = denial(.caller(caller(.send, in: vault)), .settingsRead, on: .vault(vault, .unlimited))
        #expect(key?.detail.contains("robot") == true)
        #expect(key?.detail.contains("settings.read") == true)
        #expect(key?.fix.contains("read or admin") == true)
        let member = denial(.person(person(.member, [vault: .viewer])), .settingsWrite, on: .vault(vault, .unlimited))
        #expect(member?.detail.contains("settings.write takes the role owner in the vault; yours is viewer") == true)
        let sender = denial(.person(person(.owner, [vault: .owner])), .messageSend, on: .vault(vault, .unlimited))
        #expect(sender?.fix.contains("Issue a key") == true)
    }

    @Test("a yes says why, and what has to happen beside it")
    func reasons() {
        let vault: VaultID = ids.next()
        switch gate.decide(.caller(caller(.send, in: vault)), .messageSend, on: .vault(vault, .unlimited)) {
        case .allow(let obligations, let reason):
            #expect(obligations == [.limit, .approval])
            #expect(reason.description == "robot has the scope send")
        case .deny(let error): Issue.record("\(error)")
        }
    }

    @Test("whatever changes something is written down or limited")
    func obligations() {
        for action in Action.allCases where !action.rule.changesNothing {
            let isHandedOver = [Action.routeMailerQ, .routeMailerQHTTP].contains(action)
            #expect(isHandedOver || !action.rule.obligations.isEmpty, "\(action)")
        }
    }
}
